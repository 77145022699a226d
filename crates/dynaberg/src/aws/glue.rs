//! The calls of Glue that deliveries make: which catalog a database leads to, and the columns of a table.

use provision::{Error, Service};
use serde_json::{Value, json};

use crate::aws::{Aws, on};
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome};

impl Aws {
    /// Follows the resource link `database` of the account's Glue catalog to a namespace of a table bucket. Gives the
    /// bucket's catalog and the namespace.
    pub async fn follow_resource_link(&self, database: &str) -> Outcome<(Catalog, String)> {
        let answer = self.glue("GetDatabase", json!({ "Name": database })).await?;
        let target = &answer["Database"]["TargetDatabase"];
        let (catalog_id, namespace) = (target["CatalogId"].as_str(), target["DatabaseName"].as_str());
        let bucket = catalog_id.and_then(|id| id.split_once(":s3tablescatalog/"));
        let (Some((account, bucket)), Some(namespace)) = (bucket, namespace) else {
            let message =
                format!("database {database} of Glue is not a resource link to a namespace of a table bucket");
            return Err(Failure::new(Exit::Configuration, message).advise(
                "aws glue create-database with a TargetDatabase, or CatalogARN …:catalog/s3tablescatalog/BUCKET",
            ));
        };
        let region = target["Region"].as_str().map_or_else(|| self.region(), str::to_owned);
        let arn = format!("arn:aws:s3tables:{region}:{account}:bucket/{bucket}");
        Ok((Catalog::TableBucket { arn, region }, namespace.to_owned()))
    }

    /// The columns of a table of the account's Glue catalog, by name and type as Hive spells it.
    pub async fn glue_columns(&self, database: &str, table: &str) -> Outcome<Vec<(String, String)>> {
        let answer = self.glue("GetTable", json!({ "DatabaseName": database, "Name": table })).await?;
        let columns = answer["Table"]["StorageDescriptor"]["Columns"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(columns.iter().map(|column| (text(&column["Name"]), text(&column["Type"]))).collect())
    }

    async fn glue(&self, operation: &str, body: Value) -> Outcome<Value> {
        let answered = self.calls()?.json(on(Service::Glue, operation), body).await;
        answered.map_err(|error| {
            // What a delivery names wrongly, a person corrects; all else heals.
            let is_wrong = matches!(&error, Error::Refused(refusal) if refusal.status < 500);
            Failure::from(error).ending_with(if is_wrong { Exit::Configuration } else { Exit::Service })
        })
    }
}
