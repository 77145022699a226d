//! The objects behind a table's locations.
//!
//! [`Stores`] opens and keeps one `object_store` client per bucket, or per table where the catalog vends credentials
//! with it. `file_io` gives them to the iceberg crate, `vended` keeps vended credentials fresh, `credentials` those of
//! the AWS SDK, and `durable` writes `file://`.

mod credentials;
mod durable;
mod file_io;
mod place;
mod vended;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use ambient::Ambient;
use aws_credential_types::provider::SharedCredentialsProvider;
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

pub(crate) use crate::storage::credentials::SdkCredentials;
pub(crate) use crate::storage::file_io::file_io;
pub(crate) use crate::storage::place::{Place, bad_location};
pub(crate) use crate::storage::vended::{Reload, Vended};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::durable::DurableFiles;
use crate::storage::vended::VendedCredentials;

/// Opens a bucket by name in this process; `None` where it is not one of ours.
pub type OpenBucket = Arc<dyn Fn(&str) -> Option<Arc<dyn ObjectStore>> + Send + Sync>;

/// How to reach the objects of a table. What the catalog vends with a table comes first, then this.
#[derive(Clone, Default)]
pub struct StorageConfig {
    pub credentials: Option<SharedCredentialsProvider>,
    pub region: Option<String>,
    /// An S3 endpoint other than AWS's.
    pub endpoint: Option<String>,
    /// Opens a bucket in this process rather than over the network: `dev` hands in the local warehouse's own store.
    pub local: Option<OpenBucket>,
}

/// Retries of one object request. S3 answers 503 for minutes while it splits a hot prefix.
const RETRIES_MAX: usize = 32;

/// The open stores of a catalog.
pub(crate) struct Stores {
    config: StorageConfig,
    credentials: Option<Arc<SdkCredentials>>,
    ambient: Ambient,
    /// By the location prefix they serve, with its trailing `/`. The longest prefix of a location wins.
    opened: RwLock<BTreeMap<String, Opened>>,
}

/// The store of a bucket, `s3://bucket`, without a catalog.
pub fn open_store(config: StorageConfig, ambient: Ambient, location: &str) -> Result<Arc<dyn ObjectStore>> {
    Stores::new(config, ambient).locate(location).map(|(store, _)| store)
}

#[derive(Clone)]
struct Opened {
    store: Arc<dyn ObjectStore>,
    vended: Option<Arc<VendedCredentials>>,
}

impl Stores {
    pub fn new(config: StorageConfig, ambient: Ambient) -> Self {
        let provider = config.credentials.clone();
        let credentials = provider.map(|provider| Arc::new(SdkCredentials::new(provider, ambient.clone())));
        Self { config, credentials, ambient, opened: RwLock::default() }
    }

    /// The store of an object or prefix such as `s3://bucket/key`, and its path there, byte for byte.
    pub fn locate(&self, location: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let place = Place::parse(location)?;
        let path = Path::parse(place.key).map_err(|error| bad_location(location).with_source(error))?;
        if let Some(opened) = self.longest_prefix_of(&place) {
            return Ok((opened.store, path));
        }
        let store: Arc<dyn ObjectStore> = match place.bucket {
            "" => Arc::new(DurableFiles::default()),
            bucket => match self.open_local(bucket) {
                Some(store) => store,
                None => self.open_s3(bucket, &HashMap::new(), self.sdk_credentials())?,
            },
        };
        Ok((self.keep(place.root(), Opened { store, vended: None }).store, path))
    }

    /// Takes the storage settings and credentials that came with a table, for all below `location`. `reload` gets
    /// fresh ones by loading the table again.
    pub fn accept(&self, location: &str, vended: Vended, reload: Reload) -> Result<()> {
        let place = Place::parse(location)?;
        if place.bucket.is_empty() || self.open_local(place.bucket).is_some() {
            return Ok(());
        }
        let prefix = place.prefix();
        let known = self.read().get(&prefix).and_then(|opened| opened.vended.clone());
        if let Some(known) = known {
            known.renew(&vended);
            return Ok(());
        }
        let credentials = Arc::new(VendedCredentials::new(&vended, reload, self.ambient.clone()));
        let store = self.open_s3(place.bucket, &vended.settings, Some(credentials.clone()))?;
        self.keep(prefix, Opened { store, vended: Some(credentials) });
        Ok(())
    }

    fn open_local(&self, bucket: &str) -> Option<Arc<dyn ObjectStore>> {
        self.config.local.as_ref().and_then(|open| open(bucket))
    }

    fn sdk_credentials(&self) -> Option<AwsCredentialProvider> {
        self.credentials.clone().map(|credentials| credentials as _)
    }

    fn open_s3(
        &self,
        bucket: &str,
        settings: &HashMap<String, String>,
        credentials: Option<AwsCredentialProvider>,
    ) -> Result<Arc<dyn ObjectStore>> {
        let region =
            settings.get("client.region").or_else(|| settings.get("s3.region")).or(self.config.region.as_ref());
        let endpoint = settings.get("s3.endpoint").or(self.config.endpoint.as_ref());
        let retry = RetryConfig { max_retries: RETRIES_MAX, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            // An endpoint that is not AWS's has no name per bucket, unless it says so.
            let is_path_style = settings.get("s3.path-style-access").is_none_or(|style| style != "false");
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"))
                .with_virtual_hosted_style_request(!is_path_style);
        }
        builder = match credentials {
            Some(credentials) => builder.with_credentials(credentials),
            None => builder.with_skip_signature(true),
        };
        let store = builder.build();
        Ok(Arc::new(
            store
                .map_err(|error| Error::new(ErrorKind::Refused, format!("open bucket {bucket}")).with_source(error))?,
        ))
    }

    fn longest_prefix_of(&self, place: &Place<'_>) -> Option<Opened> {
        let location = place.prefix();
        let opened = self.read();
        let serving = opened.iter().filter(|(prefix, _)| location.starts_with(prefix.as_str()));
        serving.max_by_key(|(prefix, _)| prefix.len()).map(|(_, opened)| opened.clone())
    }

    fn keep(&self, prefix: String, opened: Opened) -> Opened {
        let mut map = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(prefix).or_insert(opened).clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Opened>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores")
    }
}
