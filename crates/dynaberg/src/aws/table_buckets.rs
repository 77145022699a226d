//! The table buckets of an endpoint: which one is meant where none is named, and all of them as catalogs of queries.

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use lake::{Error, ErrorKind, Signing};
use query::{Catalogs, DEFAULT_CATALOG, Tables};
use serde::Deserialize;

use super::{Aws, signed};
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome, with_causes};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTableBuckets {
    table_buckets: Vec<TableBucket>,
}

#[derive(Deserialize)]
pub struct TableBucket {
    arn: String,
    name: String,
}

/// The catalogs that a query may name: `"s3tablescatalog/BUCKET"` for each table bucket of the endpoint, and
/// `AwsDataCatalog` for the one that names without a catalog mean.
pub struct TableBuckets {
    pub aws: Aws,
    pub buckets: Vec<TableBucket>,
    /// `None` where there are several and none was chosen.
    pub default: Option<lake::Catalog>,
}

const PREFIX: &str = "s3tablescatalog/";

#[async_trait]
impl Catalogs for TableBuckets {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        let buckets = self.buckets.iter().map(|bucket| format!("{PREFIX}{}", bucket.name));
        Ok(std::iter::once(DEFAULT_CATALOG.to_owned()).chain(buckets).collect())
    }

    async fn catalog(&self, name: &str) -> lake::Result<Option<Arc<dyn Tables>>> {
        if name.eq_ignore_ascii_case(DEFAULT_CATALOG) {
            let chosen = self.default.clone().ok_or_else(|| {
                let names: Vec<String> =
                    self.buckets.iter().map(|bucket| format!("\"{PREFIX}{}\"", bucket.name)).collect();
                let message = format!(
                    "choose one of several table buckets with --catalog ARN, or name tables as \
                     catalog.database.table: {}",
                    names.join(", ")
                );
                Error::new(ErrorKind::Refused, message)
            })?;
            return Ok(Some(Arc::new(chosen)));
        }
        let bucket = self.buckets.iter().find(|bucket| name.eq_ignore_ascii_case(&format!("{PREFIX}{}", bucket.name)));
        let Some(bucket) = bucket else { return Ok(None) };
        let catalog = Catalog::TableBucket { arn: bucket.arn.clone(), region: self.aws.region() };
        let connected = self.aws.lake(Some(&catalog)).await;
        let connected = connected.map_err(|failure| Error::new(ErrorKind::Unexpected, failure.to_string()))?;
        Ok(Some(Arc::new(connected)))
    }
}

/// The table buckets of the endpoint.
pub async fn list(endpoint: &str, signing: &Signing, ambient: &Ambient) -> Outcome<Vec<TableBucket>> {
    let response =
        signed::send(signing, ambient, http::Method::GET, &format!("{endpoint}/buckets"), Vec::new()).await?;
    let unreadable = |error: reqwest::Error| {
        Failure::new(Exit::Service, format!("list table buckets at {endpoint}: {}", with_causes(&error)))
            .advise("name the lake with --catalog")
    };
    let response = response.error_for_status().map_err(unreadable)?;
    let listed: ListTableBuckets = response.json().await.map_err(unreadable)?;
    Ok(listed.table_buckets)
}

/// The ARN of the endpoint's table bucket, where it has exactly one.
pub async fn the_only_one(endpoint: &str, signing: &Signing, ambient: &Ambient) -> Outcome<String> {
    match list(endpoint, signing, ambient).await?.as_slice() {
        [only] => Ok(only.arn.clone()),
        [] => Err(Failure::new(Exit::Configuration, format!("{endpoint} has no table bucket"))
            .advise("aws s3tables create-table-bucket --name streamtablebucket, or name the lake with --catalog")),
        several => {
            let arns: Vec<&str> = several.iter().map(|bucket| bucket.arn.as_str()).collect();
            Err(Failure::new(Exit::Configuration, format!("{endpoint} has several table buckets: {}", arns.join(", ")))
                .advise(format!("--catalog {}", arns[0])))
        }
    }
}
