//! Builds the snapshot that adds data files and position-delete files to a table, or puts them in the place of others.
//!
//! The iceberg crate can append data files only, so manifests, manifest list and the commit's updates are made here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ambient::Ambient;
use iceberg::spec::{
    DataFile, MAIN_BRANCH, Manifest, ManifestContentType, Operation, Snapshot, SnapshotReference, SnapshotRetention,
    SnapshotSummaryCollector, Summary,
};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::catalog::CommitRequest;
use crate::commit::manifests;
use crate::commit::snapshot_files::{Entry, SnapshotFiles};
use crate::commit::stamp::{MAINTENANCE_ID, Stamp};
use crate::data_file::WrittenFile;
use crate::error::Result;

/// What one snapshot changes in a table.
pub(crate) struct RowDelta {
    /// Made once per logical commit, the same over all its attempts.
    pub commit_id: Uuid,
    pub data_files: Vec<WrittenFile>,
    pub delete_files: Vec<WrittenFile>,
    /// What the added files stand in for, where no row changes.
    pub replaced: Option<Replaced>,
    /// `None` in a table that was never ours.
    pub stamp: Option<Stamp>,
}

/// Files that go because others hold the same rows.
#[derive(Default)]
pub(crate) struct Replaced {
    /// Data files and delete files.
    pub paths: HashSet<String>,
    /// The head's manifests that list them, by location.
    pub manifests: HashMap<String, Arc<Manifest>>,
    /// The data sequence number of the data files in their place. With a new one, deletes that others made meanwhile
    /// would not apply to them.
    pub sequence_number: i64,
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
        let mut files = SnapshotFiles::new(head, self.commit_id, ambient)?;
        let mut summary = SnapshotSummaryCollector::default();

        let mut manifests = manifests::carry_over(&mut files, self.replaced.as_ref(), &mut summary).await?;
        let data_sequence_number = self.replaced.as_ref().map(|replaced| replaced.sequence_number);
        for (added, content, sequence_number) in [
            (&self.data_files, ManifestContentType::Data, data_sequence_number),
            (&self.delete_files, ManifestContentType::Deletes, None),
        ] {
            for (spec_id, added) in by_spec(added) {
                let spec = files.spec(spec_id)?;
                for file in &added {
                    summary.add_file(file, metadata.current_schema().clone(), spec.clone());
                }
                let entries = added.into_iter().map(|file| Entry::Added { file: file.clone(), sequence_number });
                let entries = entries.collect();
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
            _ if self.replaced.is_some() => Operation::Replace,
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
        let mut updates = vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
        ];
        if let Some(stamp) = &self.stamp {
            updates.push(TableUpdate::SetProperties { updates: stamp.properties(snapshot_id) });
        }
        CommitRequest::new(head, requirements, updates)
    }

    /// The stamp, what this snapshot changes, and the totals carried on from its parent.
    fn summary(&self, head: &Table, changed: SnapshotSummaryCollector) -> HashMap<String, String> {
        let mut summary = self.stamp.as_ref().map(Stamp::summary).unwrap_or_default();
        // Without a stamp of its own, or under that of another commit, it is found again by this.
        if self.replaced.is_some() || self.stamp.is_none() {
            summary.insert(MAINTENANCE_ID.to_owned(), self.commit_id.to_string());
        }
        summary.extend(changed.build());
        let parent = head.metadata().current_snapshot().map(|parent| &parent.summary().additional_properties);
        let number = |map: &HashMap<String, String>, key: &str| -> u64 {
            map.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        for (total, added, removed) in [
            ("total-data-files", "added-data-files", "deleted-data-files"),
            ("total-delete-files", "added-delete-files", "removed-delete-files"),
            ("total-records", "added-records", "deleted-records"),
            ("total-files-size", "added-files-size", "removed-files-size"),
            ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
            ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
        ] {
            let before = parent.map_or(0, |parent| number(parent, total));
            let now = (before + number(&summary, added)).saturating_sub(number(&summary, removed));
            summary.insert(total.to_owned(), now.to_string());
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
