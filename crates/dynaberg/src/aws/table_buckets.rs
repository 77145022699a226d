//! Which table bucket is meant where none is named.

use ambient::Ambient;
use lake::Signing;
use serde::Deserialize;

use super::signed;
use crate::failure::{Exit, Failure, Outcome, with_causes};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListTableBuckets {
    table_buckets: Vec<TableBucket>,
}

#[derive(Deserialize)]
struct TableBucket {
    arn: String,
}

/// The ARN of the endpoint's table bucket, where it has exactly one.
pub async fn the_only_one(endpoint: &str, signing: &Signing, ambient: &Ambient) -> Outcome<String> {
    let response =
        signed::send(signing, ambient, http::Method::GET, &format!("{endpoint}/buckets"), Vec::new()).await?;
    let unreadable = |error: reqwest::Error| {
        Failure::new(Exit::Service, format!("list table buckets at {endpoint}: {}", with_causes(&error)))
            .advise("name the lake with --catalog")
    };
    let response = response.error_for_status().map_err(unreadable)?;
    let listed: ListTableBuckets = response.json().await.map_err(unreadable)?;
    match listed.table_buckets.as_slice() {
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
