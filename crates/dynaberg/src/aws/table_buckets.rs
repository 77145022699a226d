//! The table buckets of an endpoint: which one is meant where none is named, and all of them as catalogs of queries.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use lake::{Error, ErrorKind};
use provision::{Service, encode};
use query::{Catalogs, DEFAULT_CATALOG, Tables};
use serde::Deserialize;

use super::{Aws, on};
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTableBuckets {
    table_buckets: Vec<TableBucket>,
    continuation_token: Option<String>,
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
pub async fn list(aws: &Aws) -> Outcome<Vec<TableBucket>> {
    let calls = aws.calls()?;
    let mut buckets = Vec::new();
    let mut path = "/buckets".to_owned();
    loop {
        let answer = calls.rest(on(Service::S3Tables, "ListTableBuckets"), Method::GET, &path, None).await;
        let answer = answer.map_err(|error| Failure::from(error).advise("name the lake with --catalog"))?;
        let page: ListTableBuckets = serde_json::from_value(answer)
            .map_err(|error| Failure::new(Exit::Service, format!("read the list of table buckets: {error}")))?;
        buckets.extend(page.table_buckets);
        match page.continuation_token {
            Some(token) => path = format!("/buckets?continuationToken={}", encode(&token)),
            None => return Ok(buckets),
        }
    }
}

/// The ARN of the endpoint's table bucket, where it has exactly one.
pub async fn the_only_one(aws: &Aws) -> Outcome<String> {
    let endpoint = aws.endpoint(Service::S3Tables, &aws.region());
    match list(aws).await?.as_slice() {
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
