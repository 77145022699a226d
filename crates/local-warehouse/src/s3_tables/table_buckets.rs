//! CreateTableBucket, GetTableBucket, ListTableBuckets, DeleteTableBucket, GetTableBucketEncryption.

use std::collections::BTreeMap;

use aws_wire::{Action, AwsError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::{TableBucket, TableBucketArn};
use crate::governance::Reach;
use crate::s3_tables::{Answer, Call, date_time, error, governed, no_content, ok, paging, tags};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateTableBucketRequest {
    name: String,
    encryption_configuration: Option<EncryptionConfiguration>,
    storage_class_configuration: Option<StorageClassConfiguration>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EncryptionConfiguration {
    sse_algorithm: String,
    kms_key_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StorageClassConfiguration {
    storage_class: String,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let request: CreateTableBucketRequest = call.body()?;
    check_encryption(request.encryption_configuration.as_ref())?;
    check_storage_class(request.storage_class_configuration.as_ref())?;
    tags::check(&request.tags)?;
    let arn =
        TableBucketArn { region: call.caller.region.clone(), account: call.account().to_owned(), name: request.name };
    let bucket = call.catalog.create_table_bucket(&arn, &request.tags)?;
    ok(&json!({ "arn": bucket.arn.to_string() }))
}

pub(super) fn get(call: &Call<'_>, arn: &str) -> Answer {
    ok(&summary(&call.catalog.table_bucket(&TableBucketArn::parse(arn)?)?))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let page = paging::request(call, "maxBuckets")?;
    let buckets = match call.parameter("type") {
        None | Some("customer") => call.catalog.table_buckets(call.account(), &call.caller.region, &page)?,
        // Buckets that an AWS service manages: there is no such service here.
        Some("aws") => Vec::new(),
        Some(other) => return Err(error::bad_request(format!("type must be customer or aws, not {other}"))),
    };
    ok(&paging::response(
        &page,
        "tableBuckets",
        buckets,
        |bucket| bucket.arn.name.clone(),
        |bucket| governed::allows(call, &bucket.arn, Reach::Bucket(Action::Describe)).then(|| summary(bucket)),
    ))
}

pub(super) fn delete(call: &Call<'_>, arn: &str) -> Answer {
    call.catalog.delete_table_bucket(&TableBucketArn::parse(arn)?)?;
    no_content()
}

pub(super) fn get_encryption(call: &Call<'_>, arn: &str) -> Answer {
    call.catalog.table_bucket(&TableBucketArn::parse(arn)?)?;
    ok(&encryption())
}

/// Every bucket has the default encryption: another one is refused when it is asked for.
pub(super) fn encryption() -> Value {
    json!({ "encryptionConfiguration": { "sseAlgorithm": "AES256" } })
}

pub(super) fn check_encryption(configuration: Option<&EncryptionConfiguration>) -> Result<(), AwsError> {
    let Some(configuration) = configuration else { return Ok(()) };
    if configuration.sse_algorithm == "AES256" && configuration.kms_key_arn.is_none() {
        return Ok(());
    }
    Err(error::bad_request(format!(
        "The encryption {} is not served by this endpoint: it knows AES256 only",
        configuration.sse_algorithm
    )))
}

pub(super) fn check_storage_class(configuration: Option<&StorageClassConfiguration>) -> Result<(), AwsError> {
    match configuration {
        Some(StorageClassConfiguration { storage_class }) if storage_class != "STANDARD" => Err(error::bad_request(
            format!("The storage class {storage_class} is not served by this endpoint: it knows STANDARD only"),
        )),
        _ => Ok(()),
    }
}

fn summary(bucket: &TableBucket) -> Value {
    json!({
        "arn": bucket.arn.to_string(),
        "name": bucket.arn.name,
        "ownerAccountId": bucket.arn.account,
        "createdAt": date_time(bucket.created_ms),
        "tableBucketId": bucket.id,
        "type": "customer",
    })
}
