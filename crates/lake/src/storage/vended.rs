//! Credentials that the catalog vends with a table, renewed by loading the table again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ambient::Ambient;
use async_trait::async_trait;
use futures::future::BoxFuture;
use iceberg_catalog_rest::StorageCredential;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::error::Result;

/// Loads the table again, which hands what comes with it to [`VendedCredentials::renew`].
pub(crate) type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Renewed this long before the catalog says they expire.
const RENEWED_BEFORE_EXPIRY: Duration = Duration::from_secs(120);
/// Session credentials that come without a time of expiry; catalogs vend 15 minutes or more.
const KEPT_AT_MOST: Duration = Duration::from_secs(600);

/// The storage settings of a table, a key pair among them.
pub(crate) struct Vended {
    pub settings: HashMap<String, String>,
}

impl Vended {
    /// What a load result says about objects at `location`; `None` where it vends no credentials for them. The
    /// credential with the longest matching prefix comes before what `config` holds.
    pub fn of(
        location: &str,
        config: HashMap<String, String>,
        credentials: Option<Vec<StorageCredential>>,
    ) -> Option<Self> {
        let matching = credentials.into_iter().flatten().filter(|credential| location.starts_with(&credential.prefix));
        let longest = matching.max_by_key(|credential| credential.prefix.len());
        let mut settings = config;
        settings.extend(longest.map(|credential| credential.config).unwrap_or_default());
        settings.contains_key("s3.access-key-id").then_some(Self { settings })
    }

    fn credential(&self) -> AwsCredential {
        let setting = |name: &str| self.settings.get(name).cloned();
        AwsCredential {
            key_id: setting("s3.access-key-id").unwrap_or_default(),
            secret_key: setting("s3.secret-access-key").unwrap_or_default(),
            token: setting("s3.session-token").filter(|token| !token.is_empty()),
        }
    }

    /// When to ask for new ones; `None` for keys that do not expire.
    fn renew_at(&self, now: SystemTime) -> Option<SystemTime> {
        let expires_at_ms = self.settings.get("s3.session-token-expires-at-ms").and_then(|text| text.parse().ok());
        match expires_at_ms {
            Some(expires_at_ms) => {
                let expiry = UNIX_EPOCH.checked_add(Duration::from_millis(expires_at_ms));
                expiry.map(|expiry| expiry - RENEWED_BEFORE_EXPIRY)
            }
            None => self.credential().token.map(|_| now + KEPT_AT_MOST),
        }
    }
}

pub(crate) struct VendedCredentials {
    held: RwLock<Held>,
    reload: Reload,
    renewing: tokio::sync::Mutex<()>,
    ambient: Ambient,
}

struct Held {
    credential: Arc<AwsCredential>,
    renew_at: Option<SystemTime>,
}

impl VendedCredentials {
    pub fn new(vended: &Vended, reload: Reload, ambient: Ambient) -> Self {
        let held = Held { credential: Arc::new(vended.credential()), renew_at: vended.renew_at(ambient.now()) };
        Self { held: RwLock::new(held), reload, renewing: tokio::sync::Mutex::default(), ambient }
    }

    pub fn renew(&self, vended: &Vended) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held { credential: Arc::new(vended.credential()), renew_at: vended.renew_at(self.ambient.now()) };
    }

    fn fresh(&self) -> Option<Arc<AwsCredential>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = held.renew_at.is_none_or(|renew_at| self.ambient.now() < renew_at);
        is_fresh.then(|| held.credential.clone())
    }
}

#[async_trait]
impl CredentialProvider for VendedCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        if let Some(credential) = self.fresh() {
            return Ok(credential);
        }
        // Many requests find out at the same time; one of them loads the table.
        let _renewing = self.renewing.lock().await;
        if let Some(credential) = self.fresh() {
            return Ok(credential);
        }
        let reloaded = (self.reload)().await;
        reloaded.map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        Ok(self.held.read().unwrap_or_else(PoisonError::into_inner).credential.clone())
    }
}

impl std::fmt::Debug for VendedCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VendedCredentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(prefix: &str, key: &str) -> StorageCredential {
        let config = HashMap::from([("s3.access-key-id".to_owned(), key.to_owned())]);
        StorageCredential { prefix: prefix.to_owned(), config }
    }

    #[test]
    fn the_longest_matching_prefix_decides_and_config_is_the_fallback() {
        let config = HashMap::from([("s3.access-key-id".to_owned(), "config".to_owned())]);
        let all = vec![credential("s3://b/", "bucket"), credential("s3://b/t", "table"), credential("s3://c", "other")];
        let key = |location: &str, config: &HashMap<String, String>| {
            Vended::of(location, config.clone(), Some(all.clone())).map(|vended| vended.credential().key_id)
        };
        assert_eq!(key("s3://b/t", &config).as_deref(), Some("table"));
        assert_eq!(key("s3://b/u", &config).as_deref(), Some("bucket"));
        assert_eq!(key("s3://d/t", &config).as_deref(), Some("config"));
        assert_eq!(key("s3://d/t", &HashMap::new()), None);
    }

    fn vended(key: &str, expires_at_ms: u64) -> Vended {
        let settings =
            [("s3.access-key-id", key.to_owned()), ("s3.session-token-expires-at-ms", expires_at_ms.to_string())];
        Vended { settings: settings.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    #[tokio::test]
    async fn credentials_about_to_expire_are_renewed_once() {
        const NOW_MS: u64 = 1_700_000_000_000;
        let credentials = Arc::new_cyclic(|this: &std::sync::Weak<VendedCredentials>| {
            let this = this.clone();
            let reload: Reload = Arc::new(move || {
                let credentials = this.upgrade().unwrap();
                Box::pin(async move {
                    assert_eq!(credentials.fresh(), None, "renewed once");
                    credentials.renew(&vended("new", NOW_MS + 900_000));
                    Ok(())
                })
            });
            VendedCredentials::new(&vended("old", NOW_MS + 60_000), reload, Ambient::fixed(NOW_MS))
        });
        let (first, second) = tokio::join!(credentials.get_credential(), credentials.get_credential());
        assert_eq!(first.unwrap().key_id, "new");
        assert_eq!(second.unwrap().key_id, "new");
    }
}
