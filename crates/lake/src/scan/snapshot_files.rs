//! What a snapshot holds: its data files that a filter may match, and the deletes that apply to them.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::spec::{
    DataContentType, DataFileFormat, Manifest, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestList,
    SnapshotRef,
};
use roaring::RoaringBitmap;

use crate::error::{Error, ErrorKind, Result};
use crate::scan::LakeTable;
use crate::scan::deletes::{self, DeletedByPath};
use crate::scan::location::Location;
use crate::scan::prune::Predicate;

/// How many manifests or delete files are fetched at a time.
pub(crate) const CONCURRENT_READS: usize = 16;

/// A data file to read.
pub(crate) struct PlannedFile {
    pub spec_id: i32,
    pub entry: ManifestEntryRef,
    pub location: Location,
    /// The rows that are deleted, counted from the start of the file; `None` where all are live.
    pub deleted: Option<Arc<RoaringBitmap>>,
}

impl PlannedFile {
    pub fn new(spec_id: i32, entry: ManifestEntryRef, deleted: Option<Arc<RoaringBitmap>>) -> Result<Self> {
        let location = Location::parse(entry.file_path())?;
        Ok(Self { spec_id, entry, location, deleted })
    }

    pub fn size(&self) -> u64 {
        self.entry.file_size_in_bytes()
    }

    pub fn live_rows(&self) -> u64 {
        self.entry.record_count() - self.deleted.as_ref().map_or(0, |deleted| deleted.len())
    }
}

impl LakeTable {
    /// Lists the data files that may hold rows matching `predicate`, each with its deleted rows.
    pub(super) async fn plan(&self, predicate: &Predicate) -> Result<Vec<PlannedFile>> {
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        let list = self.manifest_list(snapshot).await?;
        let live = |manifest: &&ManifestFile| manifest.has_added_files() || manifest.has_existing_files();
        let manifests = list.entries().iter().filter(live);
        let (data, deletes): (Vec<_>, Vec<_>) =
            manifests.partition(|manifest| manifest.content == ManifestContentType::Data);

        let data = predicate.prune_manifests(self.table.metadata(), data);
        let data = predicate.prune_files(self.table.metadata(), self.entries(data).await?);
        if data.is_empty() {
            return Ok(Vec::new());
        }
        let spec_ids: Vec<i32> = data.iter().map(|(spec_id, _)| *spec_id).collect();
        let data = self.readable(data)?;
        let deleted = match self.cache.deleted_rows.get(snapshot.manifest_list()) {
            Some(known) => data.iter().map(|entry| known.get(entry.file_path()).cloned()).collect(),
            None => {
                let deletes = self.readable(self.entries(deletes).await?)?;
                let deleted = deletes::deleted_rows(self, &data, &deletes).await?;
                if predicate.filters.is_empty() {
                    self.remember_deleted(snapshot, &data, &deleted);
                }
                deleted
            }
        };
        let files = spec_ids.into_iter().zip(data).zip(deleted);
        let planned = files.map(|((spec_id, entry), deleted)| PlannedFile::new(spec_id, entry, deleted));
        planned.filter(|file| file.as_ref().map_or(true, |file| file.live_rows() > 0)).collect()
    }

    /// `deleted` are the deleted rows of `data`, which is all the data of the snapshot.
    fn remember_deleted(
        &self,
        snapshot: &SnapshotRef,
        data: &[ManifestEntryRef],
        deleted: &[Option<Arc<RoaringBitmap>>],
    ) {
        let with_path = |(entry, rows): (&ManifestEntryRef, &Option<Arc<RoaringBitmap>>)| {
            Some((entry.file_path().to_owned(), rows.clone()?))
        };
        let by_path: DeletedByPath = data.iter().zip(deleted).filter_map(with_path).collect();
        let weight: u64 = by_path.values().map(|rows| rows.len()).sum();
        self.cache.deleted_rows.put(snapshot.manifest_list(), Arc::new(by_path), weight.max(1) as usize);
    }

    async fn manifest_list(&self, snapshot: &SnapshotRef) -> Result<Arc<ManifestList>> {
        if let Some(list) = self.cache.manifest_lists.get(snapshot.manifest_list()) {
            return Ok(list);
        }
        let list = self.table.manifest_list_reader(snapshot).load().await;
        let list = Arc::new(list.map_err(|error| self.unreadable("manifest list", error))?);
        self.cache.manifest_lists.put(snapshot.manifest_list(), list.clone(), 1);
        Ok(list)
    }

    /// The live entries of `manifests`, each with its partition spec's id, in order.
    async fn entries(&self, manifests: Vec<&ManifestFile>) -> Result<Vec<(i32, ManifestEntryRef)>> {
        let mut reads = Vec::with_capacity(manifests.len());
        for manifest in manifests {
            reads.push(async { Ok::<_, Error>((manifest.partition_spec_id, self.manifest(manifest).await?)) });
        }
        let loaded: Vec<(i32, Arc<Manifest>)> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        let mut entries = Vec::new();
        for (spec_id, manifest) in &loaded {
            let live = manifest.entries().iter().filter(|entry| entry.is_alive());
            entries.extend(live.map(|entry| (*spec_id, entry.clone())));
        }
        Ok(entries)
    }

    async fn manifest(&self, manifest: &ManifestFile) -> Result<Arc<Manifest>> {
        if let Some(loaded) = self.cache.manifests.get(&manifest.manifest_path) {
            return Ok(loaded);
        }
        let loaded = manifest.load_manifest(self.table.file_io()).await;
        let loaded = Arc::new(loaded.map_err(|error| self.unreadable("manifest", error))?);
        self.cache.manifests.put(&manifest.manifest_path, loaded.clone(), loaded.entries().len().max(1));
        Ok(loaded)
    }

    fn readable(&self, entries: Vec<(i32, ManifestEntryRef)>) -> Result<Vec<ManifestEntryRef>> {
        entries.into_iter().map(|(_, entry)| self.check_readable(&entry).map(|()| entry)).collect()
    }

    /// What we cannot apply must not be ignored: the answer would be wrong.
    fn check_readable(&self, entry: &ManifestEntryRef) -> Result<()> {
        let refused = |what: &str| {
            let path = entry.file_path();
            Err(Error::new(ErrorKind::Refused, format!("read {}: {what} ({path})", self.name())))
        };
        match (entry.content_type(), entry.file_format()) {
            (DataContentType::EqualityDeletes, _) => refused(
                "it has equality deletes, which another writer made and which are not supported; compact it there",
            ),
            (DataContentType::PositionDeletes, DataFileFormat::Puffin) => {
                refused("it has deletion vectors (format version 3), which are not supported")
            }
            (_, DataFileFormat::Parquet) => Ok(()),
            (_, format) => refused(&format!("it has a file in the format {format}, only Parquet is supported")),
        }
    }
}
