//! What a caller needs to be granted for each operation. It is asked before anything is looked up, so what is hidden and
//! what is not there are answered alike.

use aws_wire::Action;
use http::Method;
use iceberg::TableUpdate;
use iceberg_catalog_rest::{CommitTableRequest, RenameTableRequest};

use crate::catalog::{TableBucketArn, TableName};
use crate::governance::Reach;
use crate::iceberg_rest::Call;
use crate::iceberg_rest::error::RestError;

/// Refuses what is not granted.
pub(super) fn check(
    call: &Call<'_>,
    method: &Method,
    bucket: &TableBucketArn,
    segments: &[&str],
) -> Result<(), RestError> {
    if call.caller.identity.is_administrator {
        return Ok(());
    }
    let named = |namespace: &str, name: &str| TableName { namespace: namespace.to_owned(), name: name.to_owned() };
    match (method.as_str(), segments) {
        ("GET", ["namespaces"]) => allow(call, bucket, Reach::Bucket(Action::Describe)),
        ("POST", ["namespaces"]) => allow(call, bucket, Reach::Bucket(Action::CreateDatabase)),
        ("GET" | "HEAD", ["namespaces", namespace]) | ("GET", ["namespaces", namespace, "tables"]) => {
            allow(call, bucket, Reach::Namespace(Action::Describe, namespace))
        }
        ("DELETE", ["namespaces", namespace]) => allow(call, bucket, Reach::Namespace(Action::Drop, namespace)),
        ("POST", ["namespaces", namespace, "tables"]) => {
            allow(call, bucket, Reach::Namespace(Action::CreateTable, namespace))
        }
        ("GET", ["namespaces", namespace, "tables", name]) => {
            allow(call, bucket, Reach::WholeTable(&named(namespace, name)))
        }
        ("HEAD", ["namespaces", namespace, "tables", name]) => {
            allow(call, bucket, Reach::Table(Action::Describe, &named(namespace, name)))
        }
        ("POST", ["namespaces", namespace, "tables", name]) => {
            allow(call, bucket, Reach::Table(commit_action(call)?, &named(namespace, name)))
        }
        ("DELETE", ["namespaces", namespace, "tables", name]) => {
            allow(call, bucket, Reach::Table(Action::Drop, &named(namespace, name)))
        }
        ("POST", ["tables", "rename"]) => rename(call, bucket),
        // The rest is not served to anybody.
        _ => Ok(()),
    }
}

/// Refuses what `reach` asks for, unless it is granted.
pub(super) fn allow(call: &Call<'_>, bucket: &TableBucketArn, reach: Reach<'_>) -> Result<(), RestError> {
    if call.service.governance.allows(&call.caller.identity, bucket, reach) {
        return Ok(());
    }
    let who = &call.caller.identity.arn;
    Err(RestError::forbidden(format!("Insufficient Lake Formation permission(s): {who} may not do this here")))
}

/// Snapshots alone are an INSERT; whatever else a commit changes is an ALTER.
fn commit_action(call: &Call<'_>) -> Result<Action, RestError> {
    let commit: CommitTableRequest = call.body()?;
    let is_write =
        |update: &TableUpdate| matches!(update, TableUpdate::AddSnapshot { .. } | TableUpdate::SetSnapshotRef { .. });
    Ok(if commit.updates.iter().all(is_write) { Action::Insert } else { Action::Alter })
}

fn rename(call: &Call<'_>, bucket: &TableBucketArn) -> Result<(), RestError> {
    let request: RenameTableRequest = call.body()?;
    let (from, to) = (&request.source, &request.destination);
    let from = TableName { namespace: from.namespace().to_url_string(), name: from.name().to_owned() };
    allow(call, bucket, Reach::Table(Action::Alter, &from))?;
    allow(call, bucket, Reach::Namespace(Action::CreateTable, &to.namespace().to_url_string()))
}
