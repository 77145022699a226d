//! Objects in memory that carry the time of the world, in a store that can fail to delete.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::clock::Clock;

#[derive(Clone)]
pub struct DatedStore {
    objects: Arc<InMemory>,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    written_ms: HashMap<Path, i64>,
    /// How far the store's clock is behind the world's.
    lag_ms: i64,
    /// Deletes that succeed before all others fail.
    deletes_left: Option<usize>,
    /// Writes that succeed before all others fail.
    writes_left: Option<usize>,
    reads: usize,
    /// What happens just after the listings to come.
    after_lists: VecDeque<Box<dyn FnOnce() + Send>>,
}

impl DatedStore {
    pub fn new(clock: Clock) -> Self {
        Self { objects: Arc::default(), clock, state: Arc::default() }
    }

    /// Lets only so many more deletes succeed; all of them again for `None`.
    pub fn limit_deletes(&self, deletes_left: Option<usize>) {
        self.state.lock().unwrap().deletes_left = deletes_left;
    }

    /// Lets only so many more writes succeed; all of them again for `None`.
    pub fn limit_writes(&self, writes_left: Option<usize>) {
        self.state.lock().unwrap().writes_left = writes_left;
    }

    fn count_write(&self) -> Result<()> {
        spend(&mut self.state.lock().unwrap().writes_left)
    }

    /// How many objects were read so far.
    pub fn reads(&self) -> usize {
        self.state.lock().unwrap().reads
    }

    /// Puts the store's clock behind the world's.
    pub fn lag(&self, span: Duration) {
        self.state.lock().unwrap().lag_ms = span.as_millis() as i64;
    }

    /// Lets something happen just after the listing after the next one.
    pub fn after_second_list(&self, happens: impl FnOnce() + Send + 'static) {
        let nothing: Box<dyn FnOnce() + Send> = Box::new(|| {});
        self.state.lock().unwrap().after_lists = VecDeque::from([nothing, Box::new(happens)]);
    }

    fn date(&self, location: &Path) {
        let mut state = self.state.lock().unwrap();
        let now_ms = self.clock.now_ms() - state.lag_ms;
        state.written_ms.insert(location.clone(), now_ms);
    }

    fn dated(&self, meta: ObjectMeta) -> ObjectMeta {
        let written_ms = self.state.lock().unwrap().written_ms.get(&meta.location).copied();
        let since_epoch = Duration::from_millis(written_ms.unwrap_or_default() as u64);
        ObjectMeta { last_modified: (UNIX_EPOCH + since_epoch).into(), ..meta }
    }
}

fn spend(left: &mut Option<usize>) -> Result<()> {
    match left {
        Some(0) => return Err(Error::Generic { store: "DatedStore", source: "disk full".into() }),
        Some(left) => *left -= 1,
        None => {}
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for DatedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.count_write()?;
        self.date(location);
        self.objects.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count_write()?;
        self.date(location);
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.state.lock().unwrap().reads += 1;
        let found = self.objects.get_opts(location, options).await?;
        Ok(GetResult { meta: self.dated(found.meta.clone()), ..found })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                spend(&mut store.state.lock().unwrap().deletes_left)?;
                let mut deleted = store.objects.delete_stream(stream::iter([Ok(location)]).boxed());
                deleted.next().await.unwrap()
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let listed = self.objects.list(prefix);
        let happens = self.state.lock().unwrap().after_lists.pop_front();
        if let Some(happens) = happens {
            happens();
        }
        listed.map(move |meta| meta.map(|meta| store.dated(meta))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

impl fmt::Debug for DatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatedStore")
    }
}

impl fmt::Display for DatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatedStore")
    }
}
