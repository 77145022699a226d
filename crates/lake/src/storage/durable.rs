//! Files on the local disk that survive a power failure once written.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// The whole file system under `file://`.
///
/// `LocalFileSystem` stages a file and renames it, but never syncs: a catalog that points to such a file may point to
/// nothing after a power failure. Here every write is on disk, the names of its directories included, before it
/// returns. A torn file can be seen only under a name that nobody was given yet.
#[derive(Debug, Default)]
pub(crate) struct DurableFiles {
    files: LocalFileSystem,
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let path = self.files.path_to_filesystem(location)?;
        let parent = existing_parent(&path);
        let result = self.files.put_opts(location, payload, options).await?;
        sync(path, parent).await?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.files.path_to_filesystem(location)?;
        let parent = existing_parent(&path);
        let upload = self.files.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload { upload, path, parent }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let path = self.files.path_to_filesystem(to)?;
        let parent = existing_parent(&path);
        self.files.copy_opts(from, to, options).await?;
        sync(path, parent).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let path = self.files.path_to_filesystem(to)?;
        let parent = existing_parent(&path);
        self.files.rename_opts(from, to, options).await?;
        sync(path, parent).await
    }
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableFiles")
    }
}

#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    path: PathBuf,
    parent: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.upload.complete().await?;
        sync(self.path.clone(), self.parent.clone()).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// The nearest directory above `path` that is there already: the one whose entry a write may change.
fn existing_parent(path: &FilePath) -> PathBuf {
    let parents = path.ancestors().skip(1);
    parents.into_iter().find(|parent| parent.is_dir()).unwrap_or(FilePath::new("/")).to_owned()
}

/// Syncs the file, then every directory from its own up to `top`.
async fn sync(path: PathBuf, top: PathBuf) -> Result<()> {
    let synced = tokio::task::spawn_blocking(move || {
        std::fs::File::open(&path)?.sync_all()?;
        for directory in path.ancestors().skip(1).take_while(|directory| directory.starts_with(&top)) {
            std::fs::File::open(directory)?.sync_all()?;
        }
        std::io::Result::Ok(())
    });
    synced.await?.map_err(|source| object_store::Error::Generic { store: "DurableFiles", source: source.into() })
}
