//! Lends the objects of the warehouse to Lambda.

use async_trait::async_trait;
use bytes::Bytes;
use local_delivery::{ObjectError, Objects};
use local_warehouse::Warehouse;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

pub struct WarehouseObjects(pub Warehouse);

#[async_trait]
impl Objects for WarehouseObjects {
    async fn read(&self, bucket: &str, key: &str) -> Result<Option<Bytes>, ObjectError> {
        let Some(store) = self.0.object_store(bucket) else { return Ok(None) };
        match store.get(&Path::parse(key)?).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), ObjectError> {
        let store = self.0.object_store(bucket).ok_or_else(|| format!("there is no bucket {bucket}"))?;
        store.put(&Path::parse(key)?, content.into()).await?;
        Ok(())
    }
}
