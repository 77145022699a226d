//! What a snapshot holds: live data files and the delete files that may apply to them.

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{DataContentType, DataFile, DataFileFormat, ManifestContentType, SnapshotRef};
use iceberg::table::Table;

use crate::error::{Error, ErrorKind, Result};

/// Manifests read at one time.
const MANIFEST_READS_MAX: usize = 8;

pub(crate) struct LiveFiles {
    pub(crate) data: Vec<LiveFile>,
    pub(crate) deletes: Vec<LiveFile>,
}

#[derive(Clone)]
pub(crate) struct LiveFile {
    pub(crate) data_file: DataFile,
    pub(crate) spec_id: i32,
    /// Deletes apply to data by these numbers.
    pub(crate) sequence_number: i64,
}

impl LiveFile {
    pub(crate) fn path(&self) -> &str {
        self.data_file.file_path()
    }
}

impl LiveFiles {
    pub(crate) async fn load(table: &Table, snapshot: &SnapshotRef) -> Result<Self> {
        let failed = |error: iceberg::Error| {
            let message = format!("list the files of snapshot {}", snapshot.snapshot_id());
            Error::new(ErrorKind::Transient, message).with_source(error)
        };
        let list = table.manifest_list_reader(snapshot).load().await.map_err(failed)?;
        let manifests = list.consume_entries().into_iter().collect::<Vec<_>>();
        let loaded = stream::iter(manifests)
            .map(async |manifest| {
                let loaded = manifest.load_manifest(table.file_io()).await?;
                Ok((manifest.content, manifest.partition_spec_id, loaded))
            })
            .buffered(MANIFEST_READS_MAX)
            .try_collect::<Vec<_>>()
            .await
            .map_err(failed)?;

        let mut files = Self { data: Vec::new(), deletes: Vec::new() };
        for (content, spec_id, manifest) in loaded {
            let kind = match content {
                ManifestContentType::Data => &mut files.data,
                ManifestContentType::Deletes => &mut files.deletes,
            };
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let Some(sequence_number) = entry.sequence_number() else {
                    let message = format!("read a manifest: {} has no sequence number", entry.file_path());
                    return Err(Error::new(ErrorKind::Unexpected, message));
                };
                refuse_what_we_cannot_read(entry.data_file())?;
                kind.push(LiveFile { data_file: entry.data_file().clone(), spec_id, sequence_number });
            }
        }
        Ok(files)
    }
}

fn refuse_what_we_cannot_read(file: &DataFile) -> Result<()> {
    let is_deletion_vector = file.content_type() == DataContentType::PositionDeletes && file.content_offset().is_some();
    if file.file_format() == DataFileFormat::Parquet && !is_deletion_vector {
        return Ok(());
    }
    let message = format!("read keys of {}: it is {:?}, not Parquet", file.file_path(), file.file_format());
    Err(Error::new(ErrorKind::Refused, message))
}
