//! What a batch changes: new rows, and position deletes for the rows they replace.

use std::collections::{BTreeMap, HashSet};

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use iceberg::table::Table;
use uuid::Uuid;

use crate::commit::{Change, Landed, RowDelta, Stamp};
use crate::data_file::{WrittenFile, WrittenRows};
use crate::error::{Error, ErrorKind, Result};
use crate::key::hash_keys;
use crate::key_index::{IndexUpdate, IndexedFile};
use crate::locate::locate;
use crate::position_deletes::{DeletedRows, write_position_deletes};
use crate::table_writer::RowChanges;
use crate::table_writer::fenced;
use crate::table_writer::mirror::Mirror;

/// The keys of a batch, row by row.
#[derive(Default)]
pub(crate) struct BatchKeys {
    upserts: Vec<u128>,
    deletes: Vec<u128>,
}

impl BatchKeys {
    /// None where rows have no key: such a table only grows, and takes no deletes. Where a key may be in many rows, new
    /// rows are not looked for.
    pub fn of(changes: &RowChanges, mirror: Option<&Mirror>, repeated_key: &[String], table: &Table) -> Result<Self> {
        let Some(mirror) = mirror else {
            if !repeated_key.is_empty() {
                return Ok(Self { upserts: Vec::new(), deletes: hash_rows(&changes.deletes, repeated_key)? });
            }
            if changes.deletes.iter().any(|batch| batch.num_rows() > 0) {
                let message = format!("delete from table {}, which has no key columns", table.identifier());
                return Err(Error::new(ErrorKind::Refused, message));
            }
            return Ok(Self::default());
        };
        let keys = Self {
            upserts: hash_rows(&changes.upserts, &mirror.key_columns)?,
            deletes: hash_rows(&changes.deletes, &mirror.key_columns)?,
        };
        debug_assert!(keys.are_distinct(), "no key is in a batch twice, else two rows of it would live");
        Ok(keys)
    }

    fn are_distinct(&self) -> bool {
        let distinct: HashSet<&u128> = self.upserts.iter().chain(&self.deletes).collect();
        distinct.len() == self.upserts.len() + self.deletes.len()
    }
}

fn hash_rows(batches: &[RecordBatch], key_columns: &[String]) -> Result<Vec<u128>> {
    let mut hashes = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let columns = key_columns.iter().map(|name| {
            let column = batch.column_by_name(name).cloned();
            column.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("find key column {name} in a batch")))
        });
        hashes.extend(hash_keys(&columns.collect::<Result<Vec<ArrayRef>>>()?)?);
    }
    Ok(hashes)
}

/// One logical commit. Its data files are written already and serve every attempt; its position deletes are written
/// anew for each, as rows may have moved.
pub(crate) struct Batch<'a> {
    pub stamp: Stamp,
    /// What the table must stand on.
    pub standing: Stamp,
    pub keys: BatchKeys,
    pub rows: WrittenRows,
    pub mirror: Option<&'a mut Mirror>,
    /// See [`TableWriter::open_repeating`](crate::TableWriter::open_repeating).
    pub repeated_key: &'a [String],
    pub file_prefix: String,
    pub attempt_number: u32,
}

#[async_trait]
impl Change for Batch<'_> {
    fn commit_id(&self) -> Uuid {
        self.stamp.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        // Foreign snapshots in between keep our stamp; a takeover or a commit that is not ours does not. The checkpoint
        // and the epoch are part of the stamp, so that both are chained here.
        if found.as_ref() != Some(&self.standing) {
            return Err(fenced(head));
        }
        self.attempt_number += 1;
        let delete_files = self.write_deletes(head).await?;
        Ok(RowDelta {
            commit_id: self.stamp.commit_id,
            data_files: self.rows.files.clone(),
            delete_files,
            replaced: None,
            stamp: Some(self.stamp.clone()),
        })
    }
}

impl Batch<'_> {
    async fn write_deletes(&mut self, head: &Table) -> Result<Vec<WrittenFile>> {
        let file_prefix = format!("{}-{}", self.file_prefix, self.attempt_number);
        let Some(mirror) = &mut self.mirror else {
            if self.keys.deletes.is_empty() {
                return Ok(Vec::new());
            }
            let keys = self.keys.deletes.iter().copied().collect();
            let deleted = locate(head, self.repeated_key, &keys).await?;
            return write_position_deletes(head, &file_prefix, deleted).await;
        };
        mirror.follow(head).await?;
        let mut positions: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for keys in [&self.keys.upserts, &self.keys.deletes] {
            for place in mirror.index.locate(keys).into_iter().flatten() {
                positions.entry(place.file).or_default().push(place.row);
            }
        }
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let deletes = positions.into_iter().map(|(file, mut positions)| {
            positions.sort_unstable();
            let file = mirror.index.file(file).clone();
            DeletedRows { data_file_path: file.path, spec_id: file.spec_id, partition: file.partition, positions }
        });
        write_position_deletes(head, &file_prefix, deletes.collect()).await
    }

    /// Moves the index on to the snapshot that the batch became.
    pub fn update_index(self, landed: &Landed) -> Result<()> {
        let Some(mirror) = self.mirror else {
            return Ok(());
        };
        let snapshot = landed.table.metadata().snapshot_by_id(landed.snapshot_id);
        let is_next = snapshot.is_some_and(|snapshot| snapshot.parent_snapshot_id() == mirror.index.marker());
        if !is_next {
            // The marker stays behind, and the next commit rebuilds the index.
            return Ok(());
        }
        let new_files = self.rows.files.iter().map(|file| IndexedFile {
            path: file.path.clone(),
            spec_id: file.spec_id,
            partition: file.data_file.partition().clone(),
        });
        mirror.index.apply(IndexUpdate {
            new_files: new_files.collect(),
            upserts: self.keys.upserts.into_iter().zip(self.rows.places).collect(),
            deletes: self.keys.deletes,
            marker: landed.snapshot_id,
        })
    }
}
