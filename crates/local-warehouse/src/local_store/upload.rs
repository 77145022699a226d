//! A large object on its way in.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use tokio::sync::Mutex;

use crate::local_store::{LocalStore, quoted};
use crate::objects::{Condition, ObjectError, ObjectHeaders, StagedObject};

/// An object that arrives in parts: they are written one behind the other, wherever they end up in time.
#[derive(Debug)]
pub(super) struct LocalUpload {
    store: LocalStore,
    location: Path,
    staged: Arc<Mutex<Option<StagedObject>>>,
    position: u64,
}

impl LocalUpload {
    pub(super) fn new(store: LocalStore, location: Path, staged: StagedObject) -> Self {
        Self { store, location, staged: Arc::new(Mutex::new(Some(staged))), position: 0 }
    }
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let position = self.position;
        self.position += data.content_length() as u64;
        let (store, location, staged) = (self.store.clone(), self.location.clone(), self.staged.clone());
        Box::pin(async move {
            let mut staged = staged.lock_owned().await;
            store
                .blocking(&location, move |_, _| {
                    let staged = staged.as_mut().ok_or(ObjectError::NoSuchUpload)?;
                    let mut position = position;
                    for bytes in &data {
                        staged.write_at(bytes, position)?;
                        position += bytes.len() as u64;
                    }
                    Ok(())
                })
                .await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.lock().await.take();
        let key = self.location.to_string();
        let etag = self
            .store
            .blocking(&self.location, move |files, bucket| {
                let staged = staged.ok_or(ObjectError::NoSuchUpload)?;
                let sealed = staged.seal(files.attributes(files.opaque_etag(), ObjectHeaders::default()))?;
                files.publish(bucket, &key, &sealed, &Condition::Always)?;
                Ok(sealed.attributes.etag.clone())
            })
            .await?;
        Ok(PutResult { e_tag: Some(quoted(&etag)), version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().await.take();
        Ok(())
    }
}
