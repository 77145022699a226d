//! CreateNamespace, GetNamespace, ListNamespaces, DeleteNamespace.

use aws_wire::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::{Namespace, NewNamespace, TableBucketArn};
use crate::governance::Reach;
use crate::s3_tables::{Answer, Call, date_time, error, governed, no_content, ok, paging};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateNamespaceRequest {
    namespace: Vec<String>,
}

pub(super) fn create(call: &Call<'_>, arn: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    let request: CreateNamespaceRequest = call.body()?;
    let [name] = request.namespace.as_slice() else {
        return Err(error::bad_request("A namespace has exactly one level"));
    };
    let new = NewNamespace { name, created_by: call.account(), owner: None };
    let namespace = call.catalog.create_namespace(&arn, &new)?;
    ok(&json!({ "tableBucketARN": arn.to_string(), "namespace": [namespace.name] }))
}

pub(super) fn get(call: &Call<'_>, arn: &str, name: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    ok(&summary(&call.catalog.namespace(&arn, name)?, &arn))
}

pub(super) fn list(call: &Call<'_>, arn: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    let page = paging::request(call, "maxNamespaces")?;
    let namespaces = call.catalog.namespaces(&arn, &page)?;
    let position = |namespace: &Namespace| namespace.name.clone();
    ok(&paging::response(&page, "namespaces", namespaces, position, |namespace| {
        let reach = Reach::Namespace(Action::Describe, &namespace.name);
        governed::allows(call, &arn, reach).then(|| summary(namespace, &arn))
    }))
}

pub(super) fn delete(call: &Call<'_>, arn: &str, name: &str) -> Answer {
    call.catalog.delete_namespace(&TableBucketArn::parse(arn)?, name)?;
    no_content()
}

fn summary(namespace: &Namespace, arn: &TableBucketArn) -> Value {
    json!({
        "namespace": [namespace.name],
        "createdAt": date_time(namespace.created_ms),
        "createdBy": namespace.created_by,
        "ownerAccountId": arn.account,
        "namespaceId": namespace.id,
        "tableBucketId": namespace.bucket_id,
    })
}
