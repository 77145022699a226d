//! How this process reaches AWS, or an endpoint that stands in for it.
//!
//! Region, credentials and endpoints come from the environment and the profiles, as every AWS client reads them.

mod glue;
mod maintenance_settings;
mod services;
mod table_buckets;

use std::sync::Arc;

use ambient::Ambient;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;
use lake::{CatalogConfig, HttpTransport, OpenBucket, Signing, StorageConfig, Turns};
use pipeline::{FirehoseClient, FunctionName, LambdaClient, SqsClient};
use provision::Service;
use url::Url;

pub use crate::aws::services::on;
pub use crate::aws::table_buckets::TableBuckets;
use crate::config::Catalog;
use crate::failure::{Exit, Failure, Outcome};

/// Settings that all AWS clients of this process share.
#[derive(Clone)]
pub struct Aws {
    pub config: SdkConfig,
    ambient: Ambient,
    /// Buckets that this process can open without a socket.
    local: Option<OpenBucket>,
    /// Pipelines and maintenance commit to the same tables.
    turns: Turns,
}

impl Aws {
    /// From `AWS_*` variables and profiles.
    pub async fn from_environment(ambient: Ambient) -> Outcome<Self> {
        let https = HttpClientBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await;
        if config.region().is_none() {
            return Err(Failure::new(Exit::Configuration, "no AWS region is set")
                .advise("export AWS_REGION=us-east-1, or set `region` in the profile"));
        }
        let aws = Self { config, ambient, local: None, turns: Turns::default() };
        aws.credentials()?.provide_credentials().await.map_err(|error| {
            Failure::caused_by(Exit::Configuration, &error)
                .advise("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
        })?;
        Ok(aws)
    }

    /// The embedded services at `endpoint`. `local` opens buckets in this process.
    pub async fn embedded(endpoint: &str, credentials: Credentials, local: OpenBucket, ambient: Ambient) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(HttpClientBuilder::new().build_http())
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .load()
            .await;
        Self { config, ambient, local: Some(local), turns: Turns::default() }
    }

    /// The same for `user` of the embedded services, where an access key is a name.
    pub fn acting_as(&self, user: &str) -> Outcome<Self> {
        if self.config.endpoint_url().is_none() {
            let message = "--as takes a user of the embedded services, and no AWS_ENDPOINT_URL is set";
            return Err(Failure::new(Exit::Usage, message).advise("on AWS: AWS_PROFILE with the role, and Athena"));
        }
        let credentials = Credentials::new(user, user, None, None, "dynaberg");
        let provider = SharedCredentialsProvider::new(credentials);
        let config = self.config.to_builder().credentials_provider(provider).build();
        Ok(Self { config, ..self.clone() })
    }

    pub fn ambient(&self) -> Ambient {
        self.ambient.clone()
    }

    /// Connects to the catalog that is named, or else to the only table bucket of the endpoint.
    pub async fn lake(&self, catalog: Option<&Catalog>) -> Outcome<lake::Catalog> {
        let config = match self.named_or_only(catalog).await? {
            Catalog::Rest { uri, warehouse } => self.rest_catalog(&uri, warehouse)?,
            Catalog::TableBucket { arn, region } => self.table_bucket(&arn, &region)?,
        };
        Ok(lake::Catalog::connect(config, self.ambient.clone()).await?)
    }

    /// The catalog that is named, or else the only table bucket of the endpoint.
    pub async fn named_or_only(&self, catalog: Option<&Catalog>) -> Outcome<Catalog> {
        if let Some(catalog) = catalog {
            return Ok(catalog.clone());
        }
        let arn = table_buckets::the_only_one(self).await?;
        Ok(Catalog::TableBucket { arn, region: self.region() })
    }

    /// The catalogs that queries may name. Names without a catalog mean `catalog`, or else the endpoint's only table bucket.
    pub async fn catalogs(&self, catalog: Option<&Catalog>) -> Outcome<TableBuckets> {
        let buckets = table_buckets::list(self).await?;
        let default = match (catalog, buckets.len()) {
            (None, 2..) => None,
            _ => Some(self.lake(catalog).await?),
        };
        Ok(TableBuckets { aws: self.clone(), buckets, default })
    }

    fn table_bucket(&self, arn: &str, region: &str) -> Outcome<CatalogConfig> {
        Ok(CatalogConfig {
            uri: format!("{}/iceberg", self.endpoint(Service::S3Tables, region)),
            warehouse: Some(arn.to_owned()),
            signing: Some(self.signing(Service::S3Tables, region)?),
            storage: self.storage(region)?,
            turns: self.turns.clone(),
        })
    }

    /// A catalog given by its URI: signed for AWS's own hosts and for this endpoint, else plain.
    fn rest_catalog(&self, uri: &str, warehouse: Option<String>) -> Outcome<CatalogConfig> {
        let region = self.region();
        let is_aws = uri.contains(".amazonaws.com");
        let is_ours = self.config.endpoint_url().is_some_and(|endpoint| uri.starts_with(endpoint));
        let service = if uri.contains("//glue.") { Service::Glue } else { Service::S3Tables };
        let signing = match is_aws || is_ours {
            true => Some(self.signing(service, &region)?),
            false => None,
        };
        let (storage, turns) = (self.storage(&region)?, self.turns.clone());
        Ok(CatalogConfig { uri: uri.to_owned(), warehouse, signing, storage, turns })
    }

    /// How the lake opens objects.
    pub fn storage(&self, region: &str) -> Outcome<StorageConfig> {
        Ok(StorageConfig {
            credentials: Some(self.credentials()?),
            region: Some(region.to_owned()),
            endpoint: self.service_endpoint(Service::S3),
            local: self.local.clone(),
        })
    }

    /// SQS, where `queue` is: the endpoint of its URL, or that of the environment.
    pub fn sqs(&self, queue: &str) -> Outcome<SqsClient> {
        let of_url = Url::parse(queue).ok().filter(|url| url.has_host());
        let host = of_url.as_ref().and_then(Url::host_str);
        let region = host.and_then(|host| host.strip_prefix("sqs.")?.strip_suffix(".amazonaws.com"));
        let region = region.map_or_else(|| self.region(), str::to_owned);
        let endpoint = match &of_url {
            Some(url) => url.origin().ascii_serialization(),
            None => self.endpoint(Service::Sqs, &region),
        };
        Ok(SqsClient::new(self.transport(Service::Sqs, &region)?, endpoint, self.ambient()))
    }

    /// Data Firehose.
    pub fn firehose(&self) -> Outcome<FirehoseClient> {
        let region = self.region();
        let (transport, endpoint) =
            (self.transport(Service::Firehose, &region)?, self.endpoint(Service::Firehose, &region));
        Ok(FirehoseClient::new(transport, endpoint, self.ambient()))
    }

    fn transport(&self, service: Service, region: &str) -> Outcome<Arc<HttpTransport>> {
        Ok(Arc::new(HttpTransport::new(Some(self.signing(service, region)?), self.ambient())?))
    }

    fn signing(&self, service: Service, region: &str) -> Outcome<Signing> {
        let service = service.scope().to_owned();
        Ok(Signing { credentials: self.credentials()?, region: region.to_owned(), service })
    }

    fn credentials(&self) -> Outcome<SharedCredentialsProvider> {
        self.config.credentials_provider().ok_or_else(|| {
            Failure::new(Exit::Configuration, "no AWS credentials are set")
                .advise("export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
        })
    }

    pub fn region(&self) -> String {
        self.config.region().map_or_else(|| "us-east-1".to_owned(), |region| region.as_ref().to_owned())
    }

    /// A client of one Lambda function.
    pub fn function(&self, name: &FunctionName) -> Outcome<LambdaClient> {
        let region = name.region().map_or_else(|| self.region(), str::to_owned);
        let (endpoint, signing) = (self.endpoint(Service::Lambda, &region), self.signing(Service::Lambda, &region)?);
        Ok(LambdaClient::new(name.clone(), endpoint, signing, self.ambient())?)
    }

    /// Where a service is in a region: without a trailing slash.
    fn endpoint(&self, service: Service, region: &str) -> String {
        let own = self.service_endpoint(service);
        own.unwrap_or_else(|| match service {
            Service::Iam => "https://iam.amazonaws.com".to_owned(),
            _ => format!("https://{}.{region}.amazonaws.com", service.scope()),
        })
    }

    /// `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL`, then the profile's: without a trailing slash.
    fn service_endpoint(&self, service: Service) -> Option<String> {
        let variable = format!("AWS_ENDPOINT_URL_{}", service.id().to_uppercase());
        let key = ServiceConfigKey::builder().service_id(service.id()).env(&variable).profile("endpoint_url").build();
        let own = match (self.local.is_none(), self.config.service_config(), key) {
            (true, Some(settings), Ok(key)) => settings.load_config(key),
            _ => None,
        };
        let endpoint = own.or_else(|| self.config.endpoint_url().map(str::to_owned));
        endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned())
    }
}

/// Opens buckets through `open`, for [`Aws::embedded`].
pub fn open_buckets(
    open: impl Fn(&str) -> Option<Arc<dyn object_store::ObjectStore>> + Send + Sync + 'static,
) -> OpenBucket {
    Arc::new(open)
}
