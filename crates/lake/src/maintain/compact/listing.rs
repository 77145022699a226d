//! The manifests of one snapshot. They never change, so that on another head only new ones are read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::metadata_columns::RESERVED_FIELD_ID_DELETE_FILE_PATH;
use iceberg::spec::{
    DataContentType, DataFileFormat, Datum, Manifest, ManifestContentType, ManifestEntryRef, PrimitiveLiteral, Struct,
};
use iceberg::table::Table;

use crate::error::{Error, ErrorKind, Result};
use crate::scan::{CONCURRENT_READS, LakeTable};

pub(crate) struct Listing {
    pub lake: LakeTable,
    manifests: Vec<Listed>,
}

#[derive(Clone)]
struct Listed {
    location: String,
    spec_id: i32,
    content: ManifestContentType,
    manifest: Arc<Manifest>,
}

/// A live file and the partition it belongs to.
#[derive(Clone)]
pub(crate) struct ListedFile {
    pub spec_id: i32,
    pub entry: ManifestEntryRef,
}

/// A delete file that only its own writer can follow.
pub(crate) struct Obstacle {
    file: ListedFile,
    is_everywhere: bool,
    pub reason: &'static str,
}

impl Obstacle {
    pub fn is_in(&self, partition: (i32, &Struct)) -> bool {
        self.is_everywhere || self.file.partition() == partition
    }
}

impl ListedFile {
    pub fn path(&self) -> &str {
        self.entry.file_path()
    }

    pub fn partition(&self) -> (i32, &Struct) {
        (self.spec_id, self.entry.data_file().partition())
    }

    pub fn sequence_number(&self) -> Result<i64> {
        let number = self.entry.sequence_number();
        number.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("read the sequence number of {}", self.path())))
    }

    pub fn is_position_deletes(&self) -> bool {
        self.entry.content_type() == DataContentType::PositionDeletes && self.is_parquet()
    }

    pub fn is_parquet(&self) -> bool {
        self.entry.file_format() == DataFileFormat::Parquet
    }

    /// The one data file that a delete file speaks of, as far as its manifest tells.
    pub fn only_data_path(&self) -> Option<String> {
        let file = self.entry.data_file();
        let text = |bound: Option<&Datum>| match bound.map(Datum::literal) {
            Some(PrimitiveLiteral::String(text)) => Some(text.clone()),
            _ => None,
        };
        file.referenced_data_file().or_else(|| {
            let low = text(file.lower_bounds().get(&RESERVED_FIELD_ID_DELETE_FILE_PATH))?;
            let high = text(file.upper_bounds().get(&RESERVED_FIELD_ID_DELETE_FILE_PATH))?;
            (low == high).then_some(low)
        })
    }
}

impl Listing {
    pub async fn load(lake: LakeTable) -> Result<Self> {
        Self::read(lake, &[]).await
    }

    /// The listing of another head of the same table.
    pub async fn follow(&self, head: &Table) -> Result<Self> {
        Self::read(self.lake.at_table(head.clone())?, &self.manifests).await
    }

    async fn read(lake: LakeTable, known: &[Listed]) -> Result<Self> {
        let table = lake.table();
        let Some(snapshot) = lake.snapshot() else {
            return Ok(Self { lake, manifests: Vec::new() });
        };
        let failed = |path: &str, error| {
            let (id, table) = (snapshot.snapshot_id(), table.identifier());
            Error::from_iceberg(format!("read {path} of snapshot {id} of {table}"), error)
        };
        let list = table.manifest_list_reader(snapshot).load().await;
        let list = list.map_err(|error| failed(snapshot.manifest_list(), error))?;
        let known: HashMap<&str, &Listed> = known.iter().map(|listed| (listed.location.as_str(), listed)).collect();
        let mut reads = Vec::new();
        for manifest in list.consume_entries().into_iter().collect::<Vec<_>>() {
            if !manifest.has_added_files() && !manifest.has_existing_files() {
                continue;
            }
            let known = known.get(manifest.manifest_path.as_str()).map(|listed| Listed::clone(listed));
            reads.push(async move {
                if let Some(known) = known {
                    return Ok(known);
                }
                let loaded = manifest.load_manifest(table.file_io()).await;
                let loaded = loaded.map_err(|error| failed(&manifest.manifest_path, error))?;
                Ok::<_, Error>(Listed {
                    location: manifest.manifest_path,
                    spec_id: manifest.partition_spec_id,
                    content: manifest.content,
                    manifest: Arc::new(loaded),
                })
            });
        }
        let manifests = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;
        Ok(Self { lake, manifests })
    }

    pub fn data(&self) -> impl Iterator<Item = ListedFile> {
        self.live(ManifestContentType::Data)
    }

    pub fn deletes(&self) -> impl Iterator<Item = ListedFile> {
        self.live(ManifestContentType::Deletes)
    }

    fn live(&self, content: ManifestContentType) -> impl Iterator<Item = ListedFile> {
        let manifests = self.manifests.iter().filter(move |listed| listed.content == content);
        manifests.flat_map(|listed| {
            let live = listed.manifest.entries().iter().filter(|entry| entry.is_alive());
            live.map(|entry| ListedFile { spec_id: listed.spec_id, entry: entry.clone() })
        })
    }

    /// The data files at `paths`, in that order; the first that is not live any more, where there is one.
    pub fn find(&self, paths: &[String]) -> Result<Vec<ListedFile>, String> {
        let wanted: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let found = self.data().filter(|file| wanted.contains(file.path()));
        let mut found: HashMap<String, ListedFile> = found.map(|file| (file.path().to_owned(), file)).collect();
        paths.iter().map(|path| found.remove(path).ok_or_else(|| path.clone())).collect()
    }

    /// What stands in the way of rewriting data files: deletes that cannot be followed to other files.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let metadata = self.lake.table().metadata();
        let foreign = self.deletes().filter(|file| !file.is_position_deletes());
        let obstacle = foreign.map(|file| Obstacle {
            is_everywhere: metadata.partition_spec_by_id(file.spec_id).is_none_or(|spec| spec.is_unpartitioned()),
            reason: match file.entry.content_type() {
                DataContentType::EqualityDeletes => "another writer deletes from it by equality",
                _ => "another writer deletes from it in a format that is not supported",
            },
            file,
        });
        obstacle.collect()
    }

    /// What stands in the way of rewriting `inputs`, all of one partition.
    pub fn obstacle(&self, inputs: &[ListedFile]) -> Option<&'static str> {
        let partition = inputs.first()?.partition();
        self.obstacles().into_iter().find(|obstacle| obstacle.is_in(partition)).map(|obstacle| obstacle.reason)
    }

    /// The data files that a position-delete file names, alive or not. It is read only where its manifest does not tell.
    pub async fn data_paths(&self, delete: &ListedFile) -> Result<Vec<String>> {
        if let Some(path) = delete.only_data_path() {
            return Ok(vec![path]);
        }
        Ok(self.lake.delete_file(&delete.entry).await?.rows.keys().cloned().collect())
    }

    /// The manifests that list one of `paths`.
    pub fn manifests_of(&self, paths: &HashSet<String>) -> HashMap<String, Arc<Manifest>> {
        let lists_one = |listed: &&Listed| {
            listed.manifest.entries().iter().any(|entry| entry.is_alive() && paths.contains(entry.file_path()))
        };
        let listing = self.manifests.iter().filter(lists_one);
        listing.map(|listed| (listed.location.clone(), listed.manifest.clone())).collect()
    }
}
