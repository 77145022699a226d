//! Policies of buckets: put, read and removed. They are kept and told, and not enforced: whom a bucket lets in is the
//! business of Lake Formation and `--enforce-policy` here, and nothing on loopback is encrypted.
//! Amazon S3 API Reference, "PutBucketPolicy".

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use serde_json::Value;

use crate::objects::{BucketKind, ObjectError};
use crate::s3::backend::Backend;

/// Amazon S3 User Guide, "Bucket policies": at most 20 KB.
const POLICY_BYTES_MAX: usize = 20 << 10;

pub(super) async fn put_bucket_policy(
    backend: &Backend,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let PutBucketPolicyInput { bucket, policy, .. } = request.input;
    let found = backend.files.buckets.get(&bucket).ok_or_else(|| ObjectError::NoSuchBucket(bucket.clone()))?;
    if found.kind == BucketKind::TableWarehouse {
        return Err(s3_error!(MethodNotAllowed, "This bucket belongs to a table: its table bucket has the policy"));
    }
    check(&policy, &bucket)?;
    backend.blocking(move |files| Ok(files.buckets.change(&bucket, |bucket| bucket.policy = Some(policy))?)).await?;
    Ok(S3Response::new(PutBucketPolicyOutput {}))
}

pub(super) async fn get_bucket_policy(
    backend: &Backend,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let policy = policy_of(backend, request.input.bucket)?;
    Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
}

pub(super) async fn get_bucket_policy_status(
    backend: &Backend,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    let policy = policy_of(backend, request.input.bucket)?;
    let policy: Value = serde_json::from_str(&policy).unwrap_or_default();
    let is_public = Some(statements(&policy).iter().any(|statement| is_open(statement)));
    Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public }) }))
}

pub(super) async fn delete_bucket_policy(
    backend: &Backend,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    let bucket = request.input.bucket;
    backend.blocking(move |files| Ok(files.buckets.change(&bucket, |bucket| bucket.policy = None)?)).await?;
    Ok(S3Response::new(DeleteBucketPolicyOutput {}))
}

fn policy_of(backend: &Backend, bucket: String) -> S3Result<String> {
    let found = backend.files.buckets.get(&bucket).ok_or(ObjectError::NoSuchBucket(bucket))?;
    found.policy.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
}

/// Refuses what S3 would refuse of its form: the members of a statement, and resources of other buckets.
fn check(policy: &str, bucket: &str) -> S3Result<()> {
    let malformed = |reason: &str| Err(s3_error!(MalformedPolicy, "{reason}"));
    if policy.len() > POLICY_BYTES_MAX {
        return malformed("Policy exceeds the maximum allowed document size.");
    }
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return malformed("This policy contains invalid Json");
    };
    let statements = statements(&policy);
    if statements.is_empty() {
        return malformed("Missing required field Statement");
    }
    let own = format!("arn:aws:s3:::{bucket}");
    for statement in statements {
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return malformed("Missing required field Effect");
        }
        for (member, negated) in [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")] {
            if statement[member].is_null() && statement[negated].is_null() {
                return malformed(&format!("Missing required field {member}"));
            }
        }
        let resources = texts(&statement["Resource"]).chain(texts(&statement["NotResource"]));
        let is_own =
            |resource: &str| resource.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !resources.into_iter().all(is_own) {
            return malformed("Policy has invalid resource");
        }
    }
    Ok(())
}

/// Whether a statement lets everybody in.
fn is_open(statement: &Value) -> bool {
    let is_anybody = statement["Principal"] == "*" || texts(&statement["Principal"]["AWS"]).any(|who| who == "*");
    statement["Effect"] == "Allow" && is_anybody && statement["Condition"].is_null()
}

/// One statement or a list of them.
fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        statement @ Value::Object(_) => vec![statement],
        _ => Vec::new(),
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten();
    std::iter::once(value).chain(list).filter_map(Value::as_str)
}
