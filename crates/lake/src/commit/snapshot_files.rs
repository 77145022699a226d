//! The files of a snapshot that is being built: manifests and their list.

use ambient::Ambient;
use iceberg::spec::{
    DataFile, FormatVersion, ManifestContentType, ManifestFile, ManifestListWriter, ManifestWriter,
    ManifestWriterBuilder, PartitionSpecRef,
};
use iceberg::table::Table;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// A snapshot's own files, named after the commit and the attempt.
pub(crate) struct SnapshotFiles<'a> {
    pub head: &'a Table,
    pub snapshot_id: i64,
    /// What was written so far.
    pub written: Vec<String>,
    name: String,
}

/// A line of a manifest.
pub(crate) enum Entry {
    /// A file of this snapshot. Without a sequence number it takes that of the snapshot.
    Added { file: DataFile, sequence_number: Option<i64> },
    /// A file of an earlier snapshot. It keeps its numbers: with a newer one, deletes would stop applying to it.
    Existing { file: DataFile, snapshot_id: i64, sequence_number: i64, file_sequence_number: Option<i64> },
    /// A file that this snapshot takes out of the table.
    Removed { file: DataFile, sequence_number: i64, file_sequence_number: Option<i64> },
}

/// Makes the manifest writer leave the sequence number open: a reader takes that of the snapshot.
const INHERITED: i64 = -1;

impl<'a> SnapshotFiles<'a> {
    pub fn new(head: &'a Table, commit_id: Uuid, ambient: &Ambient) -> Result<Self> {
        if head.metadata().format_version() != FormatVersion::V2 {
            let message = format!("commit to table {}, which is not of format version 2", head.identifier());
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let (high, low) = ambient.uuid().as_u64_pair();
        let snapshot_id = ((high ^ low) & i64::MAX as u64) as i64;
        Ok(Self { head, snapshot_id, written: Vec::new(), name: format!("{commit_id}-{snapshot_id}") })
    }

    /// Writes the entries, all of one partition spec, to one manifest.
    pub async fn write_manifest(
        &mut self,
        spec_id: i32,
        content: ManifestContentType,
        entries: Vec<Entry>,
    ) -> Result<ManifestFile> {
        let path = format!("{}/metadata/{}-m{}.avro", self.location(), self.name, self.written.len());
        self.written.push(path.clone());
        let failed = |error| Error::from_iceberg(format!("write manifest {path}"), error);
        let mut writer = self.manifest_writer(&path, spec_id, content)?;
        for entry in entries {
            match entry {
                Entry::Added { file, sequence_number } => {
                    writer.add_file(file, sequence_number.unwrap_or(INHERITED)).map_err(failed)?
                }
                Entry::Existing { file, snapshot_id, sequence_number, file_sequence_number } => writer
                    .add_existing_file(file, snapshot_id, sequence_number, file_sequence_number)
                    .map_err(failed)?,
                Entry::Removed { file, sequence_number, file_sequence_number } => {
                    writer.add_delete_file(file, sequence_number, file_sequence_number).map_err(failed)?
                }
            }
        }
        writer.write_manifest_file().await.map_err(failed)
    }

    fn manifest_writer(&self, path: &str, spec_id: i32, content: ManifestContentType) -> Result<ManifestWriter> {
        let failed = |error| Error::from_iceberg(format!("write manifest {path}"), error);
        let output = self.head.file_io().new_output(path).map_err(failed)?;
        let schema = self.head.metadata().current_schema().clone();
        let spec = self.spec(spec_id)?.as_ref().clone();
        let builder = ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema, spec);
        Ok(match content {
            ManifestContentType::Data => builder.build_v2_data(),
            ManifestContentType::Deletes => builder.build_v2_deletes(),
        })
    }

    pub async fn write_manifest_list(&mut self, manifests: Vec<ManifestFile>) -> Result<String> {
        let metadata = self.head.metadata();
        let path = format!("{}/metadata/snap-{}-{}.avro", self.location(), self.snapshot_id, self.name);
        self.written.push(path.clone());
        let failed = |error| Error::from_iceberg(format!("write manifest list {path}"), error);
        let output = self.head.file_io().new_output(&path).map_err(failed)?.writer().await.map_err(failed)?;
        let parent = metadata.current_snapshot_id();
        let mut list = ManifestListWriter::v2(output, self.snapshot_id, parent, metadata.next_sequence_number());
        list.add_manifests(manifests.into_iter()).map_err(failed)?;
        list.close().await.map_err(failed)?;
        Ok(path)
    }

    pub fn spec(&self, spec_id: i32) -> Result<PartitionSpecRef> {
        let spec = self.head.metadata().partition_spec_by_id(spec_id).cloned();
        spec.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("find partition spec {spec_id}")))
    }

    fn location(&self) -> &str {
        self.head.metadata().location().trim_end_matches('/')
    }
}
