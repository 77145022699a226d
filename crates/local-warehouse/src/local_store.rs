//! The warehouse's objects as an `object_store`, without a socket in between.

mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::local_store::upload::LocalUpload;
use crate::objects::{
    self, Condition, ListedObject, ListingRequest, ObjectError, ObjectFiles, ObjectHeaders, OpenObject,
};

const NAME: &str = "LocalWarehouse";
/// What one read from disk takes at most.
const PIECE_BYTES: u64 = 4 << 20;
/// Keys that one walk over the bucket gathers.
const PAGE_COUNT: usize = 1000;

/// One bucket.
#[derive(Clone, Debug)]
pub(crate) struct LocalStore {
    files: Arc<ObjectFiles>,
    bucket: String,
}

impl LocalStore {
    pub(crate) fn new(files: Arc<ObjectFiles>, bucket: &str) -> Self {
        Self { files, bucket: bucket.to_owned() }
    }

    /// Runs work on files where it may block. `path` is what an error names.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&ObjectFiles, &str) -> objects::Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store.files, &store.bucket)).await?;
        done.map_err(|error| failed(path, error))
    }

    async fn page(&self, request: ListingRequest) -> Result<objects::Listing> {
        self.blocking(&Path::default(), move |files, bucket| files.list(bucket, &request)).await
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.bucket)
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        check_attributes(&options.attributes)?;
        let condition = match options.mode {
            PutMode::Overwrite => Condition::Always,
            PutMode::Create => Condition::Absent,
            PutMode::Update(version) => match version.e_tag {
                Some(etag) => Condition::Etag(unquoted(&etag).to_owned()),
                None => return Err(not_supported("an update takes an ETag")),
            },
        };
        let key = location.to_string();
        let is_create = condition == Condition::Absent;
        let put = self
            .blocking(location, move |files, bucket| {
                let mut staged = files.stage()?;
                for bytes in &payload {
                    staged.write(bytes)?;
                }
                let sealed = staged.seal(files.attributes(files.opaque_etag(), ObjectHeaders::default()))?;
                files.publish(bucket, &key, &sealed, &condition)?;
                Ok(sealed.attributes.etag.clone())
            })
            .await;
        match put {
            Err(Error::Precondition { path, source }) if is_create => Err(Error::AlreadyExists { path, source }),
            put => Ok(PutResult { e_tag: Some(quoted(&put?)), version: None }),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        check_attributes(&options.attributes)?;
        let staged = self.blocking(location, |files, bucket| {
            files.buckets.hold(bucket)?;
            files.stage()
        });
        Ok(Box::new(LocalUpload::new(self.clone(), location.clone(), staged.await?)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(not_supported("there are no versions"));
        }
        let key = location.to_string();
        let object = self.blocking(location, move |files, bucket| files.open_object(bucket, &key)).await?;
        let meta = meta(location.clone(), &object.attributes);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            _ if options.head => 0..0,
            None => 0..meta.size,
            Some(range) => clamp(range, meta.size)?,
        };
        let payload = GetResultPayload::Stream(read(object, range.clone(), location.clone()));
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let key = location.to_string();
        let ranges = ranges.to_vec();
        let read = self
            .blocking(location, move |files, bucket| {
                let object = files.open_object(bucket, &key)?;
                let size = object.attributes.size;
                let mut pieces = Vec::with_capacity(ranges.len());
                for range in ranges {
                    let Ok(range) = clamp(&GetRange::Bounded(range), size) else { return Ok(None) };
                    pieces.push(object.read(range.start, (range.end - range.start) as usize)?.into());
                }
                Ok(Some(pieces))
            })
            .await?;
        read.ok_or_else(|| generic(std::io::Error::other("a range lies outside of the object")))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let pages = locations.try_chunks(PAGE_COUNT).map_err(|error| error.1);
        let deleted = pages.and_then(move |paths| {
            let store = store.clone();
            async move {
                let keys: Vec<String> = paths.iter().map(Path::to_string).collect();
                store.blocking(&Path::default(), move |files, bucket| files.delete(bucket, &keys)).await?;
                Ok(stream::iter(paths).map(Ok))
            }
        });
        deleted.try_flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list_all(self.clone(), prefix, String::new())
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        list_all(self.clone(), prefix, offset.to_string())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        let mut request = ListingRequest {
            prefix: directory(prefix),
            delimiter: Some("/".to_owned()),
            after: String::new(),
            count_max: PAGE_COUNT,
        };
        loop {
            let page = self.page(request.clone()).await?;
            for object in page.objects {
                result.objects.push(listed(object)?);
            }
            for prefix in page.common_prefixes {
                result.common_prefixes.push(Path::parse(prefix)?);
            }
            match page.next_after {
                Some(after) => request.after = after,
                None => return Ok(result),
            }
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (source, target) = (from.to_string(), to.to_string());
        let condition = match options.mode {
            CopyMode::Overwrite => Condition::Always,
            CopyMode::Create => Condition::Absent,
        };
        let object = self.blocking(from, move |files, bucket| files.open_object(bucket, &source)).await?;
        let copied = self
            .blocking(to, move |files, bucket| {
                let mut staged = files.stage()?;
                object.copy_to(&mut staged, 0, object.attributes.size)?;
                let headers = object.attributes.headers.clone();
                let sealed = staged.seal(files.attributes(files.opaque_etag(), headers))?;
                files.publish(bucket, &target, &sealed, &condition)
            })
            .await;
        match copied {
            Err(Error::Precondition { path, source }) => Err(Error::AlreadyExists { path, source }),
            copied => copied,
        }
    }
}

fn read(object: OpenObject, range: Range<u64>, location: Path) -> BoxStream<'static, Result<Bytes>> {
    let object = Arc::new(object);
    let starts = stream::iter(range.clone().step_by(PIECE_BYTES as usize));
    let pieces = starts.then(move |start| {
        let (object, location) = (object.clone(), location.clone());
        let length = (range.end.min(start + PIECE_BYTES) - start) as usize;
        async move {
            let read = tokio::task::spawn_blocking(move || object.read(start, length)).await?;
            read.map(Bytes::from).map_err(|error| failed(&location, error.into()))
        }
    });
    pieces.boxed()
}

fn list_all(store: LocalStore, prefix: Option<&Path>, after: String) -> BoxStream<'static, Result<ObjectMeta>> {
    let request = ListingRequest { prefix: directory(prefix), delimiter: None, after, count_max: PAGE_COUNT };
    let pages = stream::try_unfold(Some(request), move |request| {
        let store = store.clone();
        async move {
            let Some(request) = request else { return Ok::<_, Error>(None) };
            let page = store.page(request.clone()).await?;
            let next = page.next_after.map(|after| ListingRequest { after, ..request });
            Ok(Some((stream::iter(page.objects.into_iter().map(listed)), next)))
        }
    });
    pages.try_flatten().boxed()
}

/// Prefixes of an `object_store` are whole segments.
fn directory(prefix: Option<&Path>) -> String {
    prefix.filter(|prefix| !prefix.as_ref().is_empty()).map(|prefix| format!("{prefix}/")).unwrap_or_default()
}

fn listed(object: ListedObject) -> Result<ObjectMeta> {
    Ok(meta(Path::parse(&object.key)?, &object.attributes))
}

fn meta(location: Path, attributes: &objects::Attributes) -> ObjectMeta {
    let since_epoch = std::time::Duration::from_millis(attributes.last_modified_ms.max(0).unsigned_abs());
    ObjectMeta {
        location,
        last_modified: (std::time::UNIX_EPOCH + since_epoch).into(),
        size: attributes.size,
        e_tag: Some(quoted(&attributes.etag)),
        version: None,
    }
}

/// The bytes of a range that there are, as HTTP has it: a range may reach beyond the end, but not begin there.
fn clamp(range: &GetRange, size: u64) -> Result<Range<u64>> {
    let range = match range {
        GetRange::Bounded(range) => range.start..range.end.min(size),
        GetRange::Offset(start) => *start..size,
        GetRange::Suffix(length) => size.saturating_sub(*length)..size,
    };
    if range.start < range.end {
        return Ok(range);
    }
    Err(generic(std::io::Error::other(format!("the range {range:?} is empty or outside of {size} bytes"))))
}

/// ETags of this interface are as in HTTP headers.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

fn check_attributes(attributes: &Attributes) -> Result<()> {
    if attributes.is_empty() { Ok(()) } else { Err(not_supported("objects take no attributes here")) }
}

fn failed(path: &Path, error: ObjectError) -> Error {
    let path = path.to_string();
    match error {
        ObjectError::NoSuchKey(_) | ObjectError::NoSuchBucket(_) => Error::NotFound { path, source: error.into() },
        ObjectError::PreconditionFailed => Error::Precondition { path, source: error.into() },
        other => Error::Generic { store: NAME, source: other.into() },
    }
}

fn generic(error: std::io::Error) -> Error {
    Error::Generic { store: NAME, source: error.into() }
}

fn not_supported(reason: &'static str) -> Error {
    Error::NotSupported { source: reason.into() }
}
