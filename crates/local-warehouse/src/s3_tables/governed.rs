//! What a caller needs to be granted for each operation. It is asked before anything is looked up.

use aws_wire::{Action, AwsError};
use http::{Method, StatusCode};

use crate::catalog::{TableBucketArn, TableName};
use crate::governance::Reach;
use crate::s3_tables::Call;

/// Refuses what is not granted.
pub(super) fn check(call: &Call<'_>, method: &Method, segments: &[&str]) -> Result<(), AwsError> {
    if call.caller.identity.is_administrator {
        return Ok(());
    }
    let named = |namespace: &str, name: &str| TableName { namespace: namespace.to_owned(), name: name.to_owned() };
    let is_get = *method == Method::GET;
    match *segments {
        // Its list is cut to what is granted.
        ["buckets"] if is_get => Ok(()),
        // A bucket that is not there yet has no grants: administrators of the data lake alone may make one.
        ["buckets"] => {
            let region = call.caller.region.clone();
            let nowhere = TableBucketArn { region, account: call.account().to_owned(), name: String::new() };
            match allows(call, &nowhere, Reach::Bucket(Action::CreateDatabase)) {
                true => Ok(()),
                false => Err(denied(call)),
            }
        }
        // It looks up the table first, where its ARN alone is given, and asks for itself.
        ["get-table"] => Ok(()),
        ["tables", arn, namespace] => allow(call, arn, Reach::Namespace(Action::CreateTable, namespace)),
        ["tables", arn, namespace, name, ref rest @ ..] => {
            let name = named(namespace, name);
            match (rest, method) {
                (["metadata-location"], &Method::GET) => allow(call, arn, Reach::WholeTable(&name)),
                ([], &Method::DELETE) => allow(call, arn, Reach::Table(Action::Drop, &name)),
                (_, &Method::GET) => allow(call, arn, Reach::Table(Action::Describe, &name)),
                _ => allow(call, arn, Reach::Table(Action::Alter, &name)),
            }
        }
        ["namespaces", arn] if !is_get => allow(call, arn, Reach::Bucket(Action::CreateDatabase)),
        ["namespaces", arn, namespace] if is_get => allow(call, arn, Reach::Namespace(Action::Describe, namespace)),
        ["namespaces", arn, namespace] => allow(call, arn, Reach::Namespace(Action::Drop, namespace)),
        ["buckets" | "tables" | "namespaces", arn, ..] if is_get => allow(call, arn, Reach::Bucket(Action::Describe)),
        [_, arn, ..] => allow(call, arn.split("/table/").next().unwrap_or_default(), Reach::Bucket(Action::Alter)),
        _ => Ok(()),
    }
}

/// Tells whether something of a bucket may be done, for lists.
pub(super) fn allows(call: &Call<'_>, bucket: &TableBucketArn, reach: Reach<'_>) -> bool {
    call.governance.allows(&call.caller.identity, bucket, reach)
}

fn allow(call: &Call<'_>, arn: &str, reach: Reach<'_>) -> Result<(), AwsError> {
    if allows(call, &TableBucketArn::parse(arn)?, reach) { Ok(()) } else { Err(denied(call)) }
}

pub(super) fn denied(call: &Call<'_>) -> AwsError {
    let message = format!("User: {} is not authorized to perform this operation", call.caller.identity.arn);
    AwsError::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
}
