//! The calls of Glue that deliveries make: which catalog a database leads to, and the columns of a table.

use bytes::Bytes;
use lake::{HttpTransport, Signing, Transport as _};
use serde_json::{Value, json};

use crate::aws::Aws;
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
        let region = self.region();
        let own = self.service_endpoint("GLUE", "glue");
        let endpoint = own.unwrap_or_else(|| format!("https://glue.{region}.amazonaws.com"));
        let signing = Signing { service: "glue".to_owned(), ..self.signing(&region)? };
        let request = http::Request::post(format!("{endpoint}/"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AWSGlue.{operation}"))
            .body(Bytes::from(body.to_string()))
            .map_err(|error| Failure::caused_by(Exit::Configuration, &error))?;
        let transport = HttpTransport::new(Some(signing), self.ambient())?;
        let answer = transport.send(request).await.map_err(|error| error.into_error())?;
        let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if answer.status().is_success() {
            return Ok(document);
        }
        let reason = document["message"].as_str().or(document["Message"].as_str()).unwrap_or_default();
        let exit = if answer.status().is_server_error() { Exit::Service } else { Exit::Configuration };
        Err(Failure::new(exit, format!("{operation} of Glue: {} {reason}", answer.status())))
    }
}
