//! The AWS SDK's credentials, asked for once and then kept until they are about to expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ambient::Ambient;
use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// A provider may ask the network or start a process at every call.
const KEPT_AT_MOST: Duration = Duration::from_secs(300);
/// A request that was signed just in time still has to arrive.
const RENEWED_BEFORE_EXPIRY: Duration = Duration::from_secs(60);

pub(crate) struct SdkCredentials {
    provider: SharedCredentialsProvider,
    ambient: Ambient,
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

impl SdkCredentials {
    pub fn new(provider: SharedCredentialsProvider, ambient: Ambient) -> Self {
        Self { provider, ambient, kept: Mutex::default() }
    }

    pub async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut kept = self.kept.lock().await;
        let now = self.ambient.now();
        if let Some((credentials, renew_at)) = &*kept
            && now < *renew_at
        {
            return Ok(credentials.clone());
        }
        let credentials = self.provider.provide_credentials().await?;
        let expiry = credentials.expiry().map(|expiry| expiry - RENEWED_BEFORE_EXPIRY);
        let renew_at = expiry.map_or(now + KEPT_AT_MOST, |expiry| expiry.min(now + KEPT_AT_MOST));
        *kept = Some((credentials.clone(), renew_at));
        Ok(credentials)
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let credentials = self.get().await;
        let credentials =
            credentials.map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}

impl std::fmt::Debug for SdkCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SdkCredentials")
    }
}
