//! The default catalog's own tables for the query engine, on behalf of one caller.

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::Identity;
use query::{
    DatabaseDefinition, ExternalDefinition, LakeError as Error, LakeErrorKind as ErrorKind, NewPartition, ObjectAccess,
    Other, OwnTables, View,
};
use serde_json::{Map, Value, json};

use crate::catalogs::Database;
use crate::grants::Grants;
use crate::lakehouse::{Lakehouse, Region};
use crate::own::access::{Marker, TableObjects};
use crate::own::documents::{self, Own, OwnError};
use crate::own::reading::{is_view, partition_columns, read};
use crate::own::writing::{table_input, view_input};
use crate::store::Store;

type Result<T> = std::result::Result<T, Error>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineTables {
    pub store: Arc<Store>,
    pub grants: Arc<Grants>,
    pub lakehouse: Arc<dyn Lakehouse>,
    pub ambient: Ambient,
    pub region: Region,
    pub identity: Identity,
}

impl EngineTables {
    /// Runs what may block where it may.
    async fn own<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Own<'_>) -> std::result::Result<T, OwnError> + Send + 'static,
    ) -> Result<T> {
        let tables = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&Own {
                store: &tables.store,
                grants: &tables.grants,
                lakehouse: tables.lakehouse.as_ref(),
                ambient: &tables.ambient,
                region: &tables.region,
                identity: &tables.identity,
            })
        });
        let done = done.await.map_err(|error| Error::new(ErrorKind::Unexpected, error.to_string()))?;
        done.map_err(|error| match error {
            OwnError::Store(error) => Error::new(ErrorKind::Unexpected, error.to_string()).with_source(error),
            OwnError::Invalid(message) => Error::new(ErrorKind::Refused, message),
            OwnError::Missing(what) => Error::new(ErrorKind::NotFound, format!("no {}", what.to_lowercase())),
        })
    }
}

#[async_trait]
impl OwnTables for EngineTables {
    async fn list(&self, database: &str) -> Result<Vec<String>> {
        let database = database.to_owned();
        self.own(move |own| {
            let listed = documents::tables(own.store, own.region, &database)?;
            Ok(listed.into_iter().map(|(name, _)| name).collect())
        })
        .await
    }

    async fn find(&self, database: &str, name: &str) -> Result<Option<Other>> {
        let (of, called) = (database.to_lowercase(), name.to_lowercase());
        let found = self.own(move |own| {
            let Some(table) = documents::table(own.store, own.region, &of, &called)? else { return Ok(None) };
            let partitions = documents::partitions(own.store, own.region, &of, &called)?;
            Ok(Some((table, partitions)))
        });
        let Some((table, partitions)) = found.await? else { return Ok(None) };
        let (database, name) = (database.to_lowercase(), name.to_lowercase());
        let read = read(&database, &name, &table, partitions, self.access(&database, &name));
        let read =
            read.map_err(|why| Error::new(ErrorKind::Refused, format!("read table {database}.{name}: {why}")))?;
        Ok(Some(read))
    }

    async fn create(&self, database: &str, name: &str, definition: &ExternalDefinition) -> Result<bool> {
        let (database, input) = (database.to_owned(), table_input(name, definition));
        self.own(move |own| own.create(&database, input)).await
    }

    async fn create_view(&self, view: &View, or_replace: bool) -> Result<bool> {
        let (database, name) = (view.database.clone(), view.name.clone());
        let input = view_input(view, &self.identity.arn);
        self.own(move |own| {
            let earlier = documents::table(own.store, own.region, &database, &name)?;
            match earlier {
                Some(earlier) if or_replace && is_view(&earlier.input) => own.update(&database, input).map(|()| true),
                Some(_) => Ok(false),
                None => own.create(&database, input),
            }
        })
        .await
    }

    async fn create_database(&self, name: &str, definition: &DatabaseDefinition) -> Result<bool> {
        let (name, definition) = (name.to_owned(), definition.clone());
        self.own(move |own| {
            let database = Database {
                description: definition.comment,
                location: definition.location,
                parameters: definition.properties.into_iter().collect(),
                target: None,
                created_ms: own.ambient.now_ms(),
            };
            own.create_database(&name, &database)
        })
        .await
    }

    async fn drop_database(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.own(move |own| own.delete_database(&name)).await
    }

    async fn set_properties(&self, database: &str, name: &str, properties: Vec<(String, String)>) -> Result<()> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.own(move |own| {
            let mut input = own.table(&database, &name)?.input;
            let parameters = input.entry("Parameters").or_insert_with(|| json!({}));
            for (property, value) in properties {
                parameters[property] = value.into();
            }
            own.update(&database, input)
        })
        .await
    }

    async fn remove(&self, database: &str, name: &str) -> Result<()> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.own(move |own| own.delete(&database, &name)).await
    }

    async fn add_partitions(
        &self,
        database: &str,
        name: &str,
        partitions: Vec<NewPartition>,
    ) -> Result<Vec<NewPartition>> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.own(move |own| {
            let keys = partition_columns(&own.table(&database, &name)?.input);
            let mut known = Vec::new();
            for partition in partitions {
                let mut input = Map::new();
                input.insert("Values".to_owned(), json!(in_order(&keys, &partition.values)));
                if let Some(location) = &partition.location {
                    let storage = own.table(&database, &name)?.input.get("StorageDescriptor").cloned();
                    let mut storage = storage.unwrap_or_else(|| json!({}));
                    storage["Location"] = Value::from(location.as_str());
                    input.insert("StorageDescriptor".to_owned(), storage);
                }
                if !own.put_partition(&database, &name, input, false)? {
                    known.push(partition);
                }
            }
            Ok(known)
        })
        .await
    }

    async fn drop_partitions(&self, database: &str, name: &str, values: Vec<Vec<(String, String)>>) -> Result<usize> {
        let (database, name) = (database.to_owned(), name.to_owned());
        self.own(move |own| {
            let keys = partition_columns(&own.table(&database, &name)?.input);
            let mut count = 0;
            for values in values {
                count += usize::from(own.delete_partition(&database, &name, &in_order(&keys, &values))?);
            }
            Ok(count)
        })
        .await
    }

    fn access(&self, database: &str, name: &str) -> Arc<dyn ObjectAccess> {
        Arc::new(TableObjects {
            lakehouse: self.lakehouse.clone(),
            store: self.store.clone(),
            identity: self.identity.clone(),
            marker: Marker::new(&self.region, database, name),
        })
    }

    async fn default_location(&self, database: &str, name: &str) -> Result<Option<String>> {
        let (of, name) = (database.to_owned(), name.to_owned());
        self.own(move |own| {
            let database = documents::database(own.store, own.region, &of)?;
            let location = database.and_then(|database| database.location).filter(|location| !location.is_empty());
            Ok(location.map(|location| format!("{}/{name}/", location.trim_end_matches('/'))))
        })
        .await
    }
}

/// The values in the order of the table's partition columns.
fn in_order(keys: &[crate::lakehouse::Column], values: &[(String, String)]) -> Vec<String> {
    let value = |key: &crate::lakehouse::Column| {
        let found = values.iter().find(|(name, _)| *name == key.name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    keys.iter().map(value).collect()
}
