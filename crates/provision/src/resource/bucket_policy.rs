//! What a bucket of ours refuses: calls that are not encrypted on their way.
//! Amazon S3 User Guide, "Security best practices for Amazon S3": `aws:SecureTransport`.

use serde_json::{Value, json};

use super::bucket::{about, path};
use super::found;
use crate::call::Services;
use crate::error::Result;

const SID: &str = "DenyUnencryptedTransport";

/// Refuses everything that does not come by TLS, whoever calls.
pub fn tls_only(bucket: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [statement(bucket)] })
}

fn statement(bucket: &str) -> Value {
    json!({
        "Sid": SID,
        "Effect": "Deny",
        "Principal": { "AWS": "*" },
        "Action": "s3:*",
        "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

/// Whether the bucket refuses what is not encrypted.
pub(super) async fn is_tls_only(services: &Services, bucket: &str) -> Result<bool> {
    Ok(policy(services, bucket).await?.is_some_and(|policy| has_it(&policy)))
}

/// Adds the statement to whatever policy the bucket has.
pub(super) async fn make_tls_only(services: &Services, bucket: &str) -> Result<()> {
    let policy = match policy(services, bucket).await? {
        Some(mut policy) if policy["Statement"].is_array() => {
            if let Some(statements) = policy["Statement"].as_array_mut() {
                statements.retain(|other| other["Sid"] != SID);
                statements.push(statement(bucket));
            }
            policy
        }
        _ => tls_only(bucket),
    };
    let arn = format!("arn:aws:s3:::{bucket}");
    let path = path(bucket, "?policy=");
    services.s3(about("PutBucketPolicy", &arn), http::Method::PUT, &path, policy.to_string()).await.map(drop)
}

fn has_it(policy: &Value) -> bool {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    statements.into_iter().any(|statement| {
        statement["Effect"] == "Deny" && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    })
}

async fn policy(services: &Services, bucket: &str) -> Result<Option<Value>> {
    let arn = format!("arn:aws:s3:::{bucket}");
    let path = path(bucket, "?policy=");
    let policy = services.s3(about("GetBucketPolicy", &arn), http::Method::GET, &path, String::new()).await;
    let policy = found(policy, &["NoSuchBucketPolicy", "NoSuchBucket"])?;
    Ok(policy.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_denial_of_what_is_not_encrypted_counts() {
        assert!(has_it(&tls_only("letters")));
        let mut allowed = tls_only("letters");
        allowed["Statement"][0]["Effect"] = "Allow".into();
        assert!(!has_it(&allowed));
        assert!(!has_it(&json!({ "Statement": [] })));
    }
}
