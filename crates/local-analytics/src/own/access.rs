//! The objects of external tables, and whose they are.

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::Identity;
use object_store::ObjectStore;
use query::{LakeError, LakeErrorKind, ObjectAccess};
use serde_json::{Map, Value};

use crate::catalogs::CatalogName;
use crate::lakehouse::{Lakehouse, Region};
use crate::policy::TableId;
use crate::store::Store;

/// Whose an object is that was written through a table: whoever may read the whole table may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Account and region.
    pub region: String,
    pub table: TableId,
}

const PREFIX: &str = "table:";

type Result<T> = std::result::Result<T, LakeError>;

impl Marker {
    pub(crate) fn new(region: &Region, database: &str, table: &str) -> Self {
        Self { region: region.key(), table: TableId::new(&CatalogName::Default, database, table) }
    }

    /// Reads what stands in the place of an owner; `None` where that is a person.
    pub(crate) fn parse(owner: &str) -> Option<Self> {
        let (region, rest) = owner.strip_prefix(PREFIX)?.split_once(':')?;
        let (database, table) = rest.split_once('/')?;
        Some(Self { region: region.to_owned(), table: TableId::new(&CatalogName::Default, database, table) })
    }

    pub(crate) fn text(&self) -> String {
        format!("{PREFIX}{}:{}/{}", self.region, self.table.database, self.table.table)
    }
}

/// The location that a table or a partition says.
pub(crate) fn location_of(input: &Map<String, Value>) -> Option<String> {
    let location = input.get("StorageDescriptor")?["Location"].as_str()?;
    (!location.is_empty()).then(|| location.to_owned())
}

/// The way of one caller to the objects of one table.
pub(super) struct TableObjects {
    pub lakehouse: Arc<dyn Lakehouse>,
    pub store: Arc<Store>,
    pub identity: Identity,
    pub marker: Marker,
}

fn failed(error: &dyn std::fmt::Display) -> LakeError {
    LakeError::new(LakeErrorKind::Unexpected, format!("reach the objects of a table: {error}"))
}

#[async_trait]
impl ObjectAccess for TableObjects {
    fn open(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        let objects = self.lakehouse.objects(bucket).filter(|_| !bucket.ends_with("--table-s3"));
        objects.ok_or_else(|| {
            let message = format!("there is no bucket {bucket} here, and tables lie nowhere else");
            LakeError::new(LakeErrorKind::Refused, message)
        })
    }

    async fn check(&self, bucket: &str, keys: Vec<String>) -> Result<()> {
        if self.identity.is_administrator {
            return Ok(());
        }
        let (store, arn, marker) = (self.store.clone(), self.identity.arn.clone(), self.marker.text());
        let objects: Vec<String> = keys.into_iter().map(|key| format!("{bucket}/{key}")).collect();
        let foreign = tokio::task::spawn_blocking(move || {
            for object in objects {
                let owner = store.result_owner(&object)?;
                if owner.is_some_and(|owner| owner != arn && owner != marker) {
                    return Ok::<_, crate::store::StoreError>(Some(object));
                }
            }
            Ok(None)
        });
        match foreign.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))? {
            None => Ok(()),
            Some(object) => {
                let message = format!("read s3://{object}: Access Denied");
                Err(LakeError::new(LakeErrorKind::Refused, message))
            }
        }
    }

    async fn begin(&self, bucket: &str, key: &str) -> Result<()> {
        let (store, object, marker) = (self.store.clone(), format!("{bucket}/{key}"), self.marker.text());
        let owned = tokio::task::spawn_blocking(move || store.own_result(&object, &marker)).await;
        owned.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}
