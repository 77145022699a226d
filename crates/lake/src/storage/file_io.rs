//! The iceberg crate's `Storage` on object stores.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig as IcebergStorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use crate::storage::Stores;

/// A `FileIO` that reads and writes through `stores`.
pub(crate) fn file_io(stores: Arc<Stores>) -> FileIO {
    FileIOBuilder::new(Arc::new(ObjectStorage { stores: Some(stores) })).build()
}

/// The crate wants storages to be serialisable. Open stores are not, so one that was read back can open nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ObjectStorage {
    #[serde(skip)]
    stores: Option<Arc<Stores>>,
}

impl ObjectStorage {
    fn locate(&self, location: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let Some(stores) = &self.stores else {
            return Err(Error::new(ErrorKind::FeatureUnsupported, "use a storage in the process that opened it"));
        };
        stores.locate(location).map_err(|error| Error::new(ErrorKind::DataInvalid, "open storage").with_source(error))
    }
}

#[typetag::serde]
impl StorageFactory for ObjectStorage {
    fn build(&self, _config: &IcebergStorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde]
impl Storage for ObjectStorage {
    async fn exists(&self, location: &str) -> Result<bool> {
        let (store, path) = self.locate(location)?;
        match store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look for", location, error)),
        }
    }

    async fn metadata(&self, location: &str) -> Result<FileMetadata> {
        let (store, path) = self.locate(location)?;
        let meta = store.head(&path).await.map_err(|error| failed("look up", location, error))?;
        Ok(FileMetadata { size: meta.size })
    }

    async fn read(&self, location: &str) -> Result<Bytes> {
        let (store, path) = self.locate(location)?;
        let found = store.get(&path).await.map_err(|error| failed("read", location, error))?;
        found.bytes().await.map_err(|error| failed("read", location, error))
    }

    async fn reader(&self, location: &str) -> Result<Box<dyn FileRead>> {
        let (store, path) = self.locate(location)?;
        Ok(Box::new(ObjectRead { store, path }))
    }

    async fn write(&self, location: &str, bytes: Bytes) -> Result<()> {
        let (store, path) = self.locate(location)?;
        store.put(&path, bytes.into()).await.map_err(|error| failed("write", location, error))?;
        Ok(())
    }

    async fn writer(&self, location: &str) -> Result<Box<dyn FileWrite>> {
        let (store, path) = self.locate(location)?;
        Ok(Box::new(ObjectWrite { writer: BufWriter::new(store, path), location: location.to_owned() }))
    }

    async fn delete(&self, location: &str) -> Result<()> {
        let (store, path) = self.locate(location)?;
        match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", location, error)),
        }
    }

    async fn delete_prefix(&self, location: &str) -> Result<()> {
        let (store, path) = self.locate(location)?;
        let mut listed = store.list(Some(&path));
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| failed("list", location, error))?;
            store.delete(&object.location).await.map_err(|error| failed("delete", location, error))?;
        }
        Ok(())
    }

    async fn delete_stream(&self, mut locations: BoxStream<'static, String>) -> Result<()> {
        while let Some(location) = locations.next().await {
            self.delete(&location).await?;
        }
        Ok(())
    }

    fn new_input(&self, location: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), location.to_owned()))
    }

    fn new_output(&self, location: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), location.to_owned()))
    }
}

struct ObjectRead {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

#[async_trait]
impl FileRead for ObjectRead {
    async fn read(&self, range: std::ops::Range<u64>) -> Result<Bytes> {
        let read = self.store.get_range(&self.path, range).await;
        read.map_err(|error| failed("read", self.path.as_ref(), error))
    }
}

/// One PUT for a small file, a multipart upload for a large one. The file is there once `close` has returned.
struct ObjectWrite {
    writer: BufWriter,
    location: String,
}

#[async_trait]
impl FileWrite for ObjectWrite {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if let Err(error) = self.writer.put(bytes).await {
            // The parts of an upload that is not aborted are kept, and paid for, until somebody finds them. What
            // failed first is what the caller hears of.
            let _ = self.writer.abort().await;
            return Err(failed("write", &self.location, error));
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.writer.shutdown().await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, format!("write {}", self.location))
                .with_retryable(true)
                .with_source(error)
        })
    }
}

/// What is not there, not allowed or not possible will be so at the next try too; the rest may pass.
fn failed(doing: &str, location: &str, error: object_store::Error) -> Error {
    use object_store::Error as StoreError;
    let is_transient = matches!(error, StoreError::Generic { .. } | StoreError::JoinError { .. });
    Error::new(ErrorKind::Unexpected, format!("{doing} {location}")).with_retryable(is_transient).with_source(error)
}
