//! Client of an Iceberg REST catalog: Amazon S3 Tables, Glue, or any other that speaks the protocol.
//!
//! `rest` knows addresses and answers, `transport` sends and signs, `listing` has namespaces and the names in them,
//! `outcome` tells what became of a commit.

mod listing;
mod outcome;
mod rest;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ambient::Ambient;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use futures::FutureExt;
use http::Method;
use iceberg::spec::{Schema, SortOrder, TableMetadata, UnboundPartitionSpec};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, Runtime, TableIdent};
use iceberg_catalog_rest::{CreateTableRequest, LoadTableResult};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

pub(crate) use crate::catalog::outcome::{CommitRequest, Outcome};
pub use crate::catalog::transport::{HttpTransport, Transport, TransportError};

use crate::catalog::rest::{Rest, read_body};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{Reload, StorageConfig, Stores, Vended, file_io};
use crate::turns::Turns;

/// How to reach a catalog. Where `storage` names no region or credentials, those of `signing` serve.
#[derive(Clone)]
pub struct CatalogConfig {
    /// `https://s3tables.us-east-1.amazonaws.com/iceberg`, with or without `/v1`.
    pub uri: String,
    /// The table bucket's ARN, or what the catalog calls a warehouse.
    pub warehouse: Option<String>,
    /// SigV4 with this service name (`s3tables`, `glue`); `None` sends unsigned requests.
    pub signing: Option<Signing>,
    pub storage: StorageConfig,
    /// Shared by all catalogs of the process that reach the same tables.
    pub turns: Turns,
}

#[derive(Clone)]
pub struct Signing {
    pub credentials: SharedCredentialsProvider,
    pub region: String,
    pub service: String,
}

/// A connected catalog. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    connected: Arc<Connected>,
}

struct Connected {
    rest: Rest,
    stores: Arc<Stores>,
    turns: Turns,
}

/// A table to create. Field ids are assigned by the catalog: read them from the table that comes back.
pub struct TableCreation {
    pub name: String,
    pub schema: Schema,
    pub partition_spec: Option<UnboundPartitionSpec>,
    pub sort_order: Option<SortOrder>,
    pub properties: HashMap<String, String>,
}

/// The answer to `GET v1/config`.
#[derive(Deserialize)]
struct ConfigAnswer {
    #[serde(default)]
    defaults: HashMap<String, String>,
    #[serde(default)]
    overrides: HashMap<String, String>,
}

impl Catalog {
    /// Asks for the catalog's configuration (`GET v1/config`).
    pub async fn connect(config: CatalogConfig, ambient: Ambient) -> Result<Self> {
        let transport = HttpTransport::new(config.signing.clone(), ambient.clone())?;
        Self::connect_through(Arc::new(transport), config, ambient).await
    }

    /// Connects through a transport of the caller's. It signs, if anybody does.
    pub async fn connect_through(
        transport: Arc<dyn Transport>,
        config: CatalogConfig,
        ambient: Ambient,
    ) -> Result<Self> {
        let mut rest = Rest { transport, base: Rest::base_of(&config.uri), prefix: None, ambient: ambient.clone() };
        let answer: ConfigAnswer = rest.get(&rest.config_url(config.warehouse.as_deref())).await?;
        let setting = |name: &str| answer.overrides.get(name).or_else(|| answer.defaults.get(name));
        rest.prefix = setting("prefix").map(|prefix| prefix.trim_matches('/').to_owned());
        if let Some(uri) = answer.overrides.get("uri") {
            rest.base = Rest::base_of(uri);
        }

        let mut storage = config.storage;
        if let Some(signing) = config.signing {
            storage.region = storage.region.or(Some(signing.region));
            storage.credentials = storage.credentials.or(Some(signing.credentials));
        }
        let stores = Arc::new(Stores::new(storage, ambient));
        Ok(Self { connected: Arc::new(Connected { rest, stores, turns: config.turns }) })
    }

    /// Loads the table as it is now. `NotFound` where it does not exist.
    pub async fn load_table(&self, table: &TableIdent) -> Result<Table> {
        let loaded: LoadTableResult = self.rest().get(&self.rest().table_url(table)).await?;
        self.open_table(table.clone(), loaded)
    }

    pub async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.rest().exists(&self.rest().table_url(table)).await
    }

    /// Creates a table, empty. `Refused` where its name is taken.
    pub async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<Table> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        let request = CreateTableRequest {
            name: creation.name,
            location: None,
            schema: creation.schema,
            partition_spec: creation.partition_spec,
            write_order: creation.sort_order,
            stage_create: None,
            properties: creation.properties,
        };
        let url = self.rest().tables_url(namespace);
        let response = self.rest().exchange(Method::POST, &url, json(&request)?).await?;
        self.open_table(table, read_body(&url, &response)?)
    }

    /// Takes the table out of the catalog. Whether its files go too is up to the catalog.
    pub async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        // S3 Tables drops nothing unless it may purge.
        let url = format!("{}?purgeRequested=true", self.rest().table_url(table));
        self.rest().exchange(Method::DELETE, &url, Bytes::new()).await?;
        Ok(())
    }

    /// The store that serves `location`, such as `s3://bucket/key`. Where a catalog vends credentials with each table,
    /// it serves that table only, and only once the table has been loaded.
    pub fn store_for(&self, location: &str) -> Result<Arc<dyn ObjectStore>> {
        self.connected.stores.locate(location).map(|(store, _)| store)
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.connected.turns
    }

    fn rest(&self) -> &Rest {
        &self.connected.rest
    }

    fn open_table(&self, table: TableIdent, loaded: LoadTableResult) -> Result<Table> {
        let location = loaded.metadata.location();
        if let Some(vended) = Vended::of(location, loaded.config, loaded.storage_credentials) {
            self.connected.stores.accept(location, vended, self.reload(&table))?;
        }
        self.table(table, loaded.metadata, loaded.metadata_location)
    }

    fn table(&self, table: TableIdent, metadata: TableMetadata, location: Option<String>) -> Result<Table> {
        let name = table.to_string();
        let mut builder = Table::builder()
            .identifier(table)
            .file_io(file_io(self.connected.stores.clone()))
            .metadata(metadata)
            .runtime(Runtime::current())
            .disable_cache();
        if let Some(location) = location {
            builder = builder.metadata_location(location);
        }
        builder.build().map_err(|error| Error::from_iceberg(format!("open table {name}"), error))
    }

    /// Renews what is vended with `table`, as long as the catalog is in use.
    fn reload(&self, table: &TableIdent) -> Reload {
        let connected: Weak<Connected> = Arc::downgrade(&self.connected);
        let table = table.clone();
        Arc::new(move || {
            let catalog = connected.upgrade().map(|connected| Catalog { connected });
            let table = table.clone();
            async move {
                match catalog {
                    Some(catalog) => catalog.load_table(&table).await.map(|_| ()),
                    None => Err(Error::new(ErrorKind::Unexpected, "renew credentials of a catalog that is closed")),
                }
            }
            .boxed()
        })
    }
}

fn json(request: &impl Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(request);
    let body = body.map_err(|error| Error::new(ErrorKind::Unexpected, "write a catalog request").with_source(error))?;
    Ok(body.into())
}
