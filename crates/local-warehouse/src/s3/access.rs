//! Verified callers: secrets and session tokens from the key store that all services share.

use std::sync::Arc;

use aws_wire::KeyStore;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::s3::Rights;

/// Secrets for `s3s`, which verifies every kind of S3 signature by itself.
pub(super) struct Keys(pub Arc<dyn KeyStore>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.find(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret_access_key)),
            None => {
                Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))
            }
        }
    }
}

/// Temporary credentials are good only together with their token.
pub(super) struct Access {
    pub keys: Arc<dyn KeyStore>,
    pub rights: Rights,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        };
        let Some(key) = self.keys.find(&credentials.access_key) else {
            return Err(s3_error!(InvalidAccessKeyId, "The access key has expired"));
        };
        let in_header = context.headers().get("x-amz-security-token").and_then(|token| token.to_str().ok());
        let query = crate::rest::query(context.uri()).unwrap_or_default();
        let given = in_header.or(query.get("X-Amz-Security-Token").map(String::as_str));
        if given == key.session_token.as_deref() {
            let identity = Some(&key.identity);
            return self.rights.check(identity, context.method(), context.uri().path(), context.headers());
        }
        Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."))
    }
}
