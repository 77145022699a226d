//! What a table holds right now, by its manifests: no data file is opened.

mod readers;

use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::spec::{DataContentType, DataFile, DataFileFormat, FormatVersion, ManifestFile};
use iceberg::table::Table;

use crate::error::{Error, ErrorKind, Result};

pub use crate::contents::readers::{Reader, Verdict, readers};

/// Manifests that are fetched at a time.
const CONCURRENT_READS: usize = 16;
/// A data file below this is small: the least size that the compaction of S3 Tables may be told to aim at.
const SMALL_BYTES: u64 = 64 << 20;
/// Sizes of data files are told apart by these; the last class has no end.
const SIZE_CLASSES: [(&str, u64); 5] = [
    ("< 1 MB", 1 << 20),
    ("1-16 MB", 16 << 20),
    ("16-64 MB", SMALL_BYTES),
    ("64-512 MB", 512 << 20),
    ("≥ 512 MB", u64::MAX),
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableContents {
    pub format_version: u8,
    pub data_files: u64,
    pub data_bytes: u64,
    /// Data files by size, in the order of [`TableContents::sizes`].
    by_size: [u64; SIZE_CLASSES.len()],
    /// Rows in data files, the deleted ones too.
    pub records: u64,
    pub position_delete_files: u64,
    pub deletion_vectors: u64,
    /// Rows that position deletes and deletion vectors name.
    pub deleted_records: u64,
    /// Each may delete any number of rows: how many, only a scan tells.
    pub equality_delete_files: u64,
    /// Data files that are not Parquet.
    pub other_formats: u64,
}

impl TableContents {
    /// Reads the manifests of the current snapshot.
    pub async fn of(table: &Table) -> Result<Self> {
        let mut contents = Self { format_version: table.metadata().format_version() as u8, ..Self::default() };
        let Some(snapshot) = table.metadata().current_snapshot() else { return Ok(contents) };
        let failed = |error| {
            Error::new(ErrorKind::Unexpected, format!("read the manifests of {}", table.identifier()))
                .with_source(error)
        };
        let list = table.manifest_list_reader(snapshot).load().await.map_err(failed)?;
        let live = |manifest: &&ManifestFile| manifest.has_added_files() || manifest.has_existing_files();
        let reads: Vec<_> =
            list.entries().iter().filter(live).map(|file| file.load_manifest(table.file_io())).collect();
        let mut manifests = stream::iter(reads).buffered(CONCURRENT_READS);
        while let Some(manifest) = manifests.try_next().await.map_err(failed)? {
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                contents.add(entry.data_file());
            }
        }
        Ok(contents)
    }

    fn add(&mut self, file: &DataFile) {
        match (file.content_type(), file.file_format()) {
            (DataContentType::Data, format) => {
                let bytes = file.file_size_in_bytes();
                self.data_files += 1;
                self.data_bytes += bytes;
                self.records += file.record_count();
                self.other_formats += u64::from(format != DataFileFormat::Parquet);
                let class = SIZE_CLASSES.iter().position(|(_, end)| bytes < *end).unwrap_or(SIZE_CLASSES.len() - 1);
                self.by_size[class] += 1;
            }
            (DataContentType::PositionDeletes, format) => {
                match format {
                    DataFileFormat::Puffin => self.deletion_vectors += 1,
                    _ => self.position_delete_files += 1,
                }
                self.deleted_records += file.record_count();
            }
            (DataContentType::EqualityDeletes, _) => self.equality_delete_files += 1,
        }
    }

    /// The rows that a scan returns; at most so many where there are equality deletes.
    pub fn rows(&self) -> u64 {
        self.records.saturating_sub(self.deleted_records)
    }

    /// How much of what a scan reads is deleted, from 0 to 1.
    pub fn deleted_share(&self) -> f64 {
        if self.records == 0 { 0.0 } else { (self.deleted_records as f64 / self.records as f64).min(1.0) }
    }

    /// Data files that compaction would be glad to merge.
    pub fn small_files(&self) -> u64 {
        let small = SIZE_CLASSES.iter().zip(self.by_size).filter(|((_, end), _)| *end <= SMALL_BYTES);
        small.map(|(_, count)| count).sum()
    }

    /// How many data files there are of each size class, the smallest first.
    pub fn sizes(&self) -> [(&'static str, u64); SIZE_CLASSES.len()] {
        std::array::from_fn(|class| (SIZE_CLASSES[class].0, self.by_size[class]))
    }

    fn is_v3(&self) -> bool {
        self.format_version >= FormatVersion::V3 as u8
    }
}
