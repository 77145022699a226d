//! Builds the snapshot that adds data files and position-delete files to a table.
//!
//! The iceberg crate can append data files only, so manifests, manifest list and the commit's updates are made here.

use std::collections::{BTreeMap, HashMap};

use ambient::Ambient;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile, ManifestListWriter, ManifestWriter,
    ManifestWriterBuilder, Operation, PartitionSpecRef, Snapshot, SnapshotReference, SnapshotRetention,
    SnapshotSummaryCollector, Summary,
};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::catalog::CommitRequest;
use crate::commit::manifests::{self, Entry};
use crate::commit::stamp::Stamp;
use crate::data_file::WrittenFile;
use crate::error::{Error, ErrorKind, Result};

/// What one snapshot adds to a table.
pub(crate) struct RowDelta {
    pub data_files: Vec<WrittenFile>,
    pub delete_files: Vec<WrittenFile>,
    pub stamp: Stamp,
}

/// A snapshot that is written, but that no catalog knows of yet.
pub(crate) struct Attempt {
    pub request: CommitRequest,
    /// The files that only this attempt needs.
    pub files: Vec<String>,
}

impl RowDelta {
    /// Writes manifests and manifest list of a snapshot on top of `head`.
    pub async fn build(&self, head: &Table, ambient: &Ambient) -> Result<Attempt> {
        let metadata = head.metadata();
        let mut files = SnapshotFiles::new(head, self.stamp.commit_id, ambient)?;
        let mut summary = SnapshotSummaryCollector::default();

        let mut manifests = manifests::carry_over(&mut files).await?;
        for (added, content) in
            [(&self.data_files, ManifestContentType::Data), (&self.delete_files, ManifestContentType::Deletes)]
        {
            for (spec_id, added) in by_spec(added) {
                let spec = files.spec(spec_id)?;
                for file in &added {
                    summary.add_file(file, metadata.current_schema().clone(), spec.clone());
                }
                let entries = added.into_iter().map(|file| Entry::Added(file.clone())).collect();
                manifests.push(files.write_manifest(spec_id, content, entries).await?);
            }
        }
        let manifest_list = files.write_manifest_list(manifests).await?;

        let snapshot = Snapshot::builder()
            .with_snapshot_id(files.snapshot_id)
            .with_parent_snapshot_id(metadata.current_snapshot_id())
            .with_sequence_number(metadata.next_sequence_number())
            // Clocks differ between writers, and a table's time does not go back.
            .with_timestamp_ms(ambient.now_ms().max(metadata.last_updated_ms() + 1))
            .with_manifest_list(manifest_list)
            .with_schema_id(metadata.current_schema_id())
            .with_summary(Summary { operation: self.operation(), additional_properties: self.summary(head, summary) })
            .build();
        Ok(Attempt { request: self.request(head, snapshot)?, files: files.written })
    }

    fn operation(&self) -> Operation {
        match (self.data_files.is_empty(), self.delete_files.is_empty()) {
            (_, true) => Operation::Append,
            (true, false) => Operation::Delete,
            (false, false) => Operation::Overwrite,
        }
    }

    fn request(&self, head: &Table, snapshot: Snapshot) -> Result<CommitRequest> {
        let metadata = head.metadata();
        let requirements = vec![
            TableRequirement::UuidMatch { uuid: metadata.uuid() },
            TableRequirement::RefSnapshotIdMatch {
                r#ref: MAIN_BRANCH.to_owned(),
                snapshot_id: metadata.current_snapshot_id(),
            },
        ];
        let snapshot_id = snapshot.snapshot_id();
        let reference = SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None));
        let updates = vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
            TableUpdate::SetProperties { updates: self.stamp.properties(snapshot_id) },
        ];
        CommitRequest::new(head, requirements, updates)
    }

    /// The stamp, what this snapshot adds, and the totals carried on from its parent.
    fn summary(&self, head: &Table, added: SnapshotSummaryCollector) -> HashMap<String, String> {
        let mut summary = self.stamp.summary();
        summary.extend(added.build());
        let parent = head.metadata().current_snapshot().map(|parent| &parent.summary().additional_properties);
        let number = |map: &HashMap<String, String>, key: &str| -> u64 {
            map.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        for (total, added) in [
            ("total-data-files", "added-data-files"),
            ("total-delete-files", "added-delete-files"),
            ("total-records", "added-records"),
            ("total-files-size", "added-files-size"),
            ("total-position-deletes", "added-position-deletes"),
            ("total-equality-deletes", "added-equality-deletes"),
        ] {
            let before = parent.map_or(0, |parent| number(parent, total));
            summary.insert(total.to_owned(), (before + number(&summary, added)).to_string());
        }
        summary
    }
}

fn by_spec(files: &[WrittenFile]) -> BTreeMap<i32, Vec<&DataFile>> {
    let mut by_spec: BTreeMap<i32, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        by_spec.entry(file.spec_id).or_default().push(&file.data_file);
    }
    by_spec
}

/// A snapshot's own files, named after the commit and the attempt.
pub(crate) struct SnapshotFiles<'a> {
    pub head: &'a Table,
    snapshot_id: i64,
    name: String,
    written: Vec<String>,
}

/// Makes the manifest writer leave the sequence number open: a reader takes that of the snapshot.
const INHERITED: i64 = -1;

impl<'a> SnapshotFiles<'a> {
    fn new(head: &'a Table, commit_id: Uuid, ambient: &Ambient) -> Result<Self> {
        if head.metadata().format_version() != FormatVersion::V2 {
            let message = format!("commit to table {}, which is not of format version 2", head.identifier());
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let (high, low) = ambient.uuid().as_u64_pair();
        let snapshot_id = ((high ^ low) & i64::MAX as u64) as i64;
        Ok(Self { head, snapshot_id, name: format!("{commit_id}-{snapshot_id}"), written: Vec::new() })
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
                Entry::Added(file) => writer.add_file(file, INHERITED).map_err(failed)?,
                Entry::Existing { file, snapshot_id, sequence_number, file_sequence_number } => writer
                    .add_existing_file(file, snapshot_id, sequence_number, file_sequence_number)
                    .map_err(failed)?,
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

    async fn write_manifest_list(&mut self, manifests: Vec<ManifestFile>) -> Result<String> {
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

    fn spec(&self, spec_id: i32) -> Result<PartitionSpecRef> {
        let spec = self.head.metadata().partition_spec_by_id(spec_id).cloned();
        spec.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("find partition spec {spec_id}")))
    }

    fn location(&self) -> &str {
        self.head.metadata().location()
    }
}
