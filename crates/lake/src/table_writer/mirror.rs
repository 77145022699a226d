//! The key index, kept in step with the table's head.

use iceberg::spec::{Operation, TableMetadata};
use iceberg::table::Table;
use tracing::info;

use crate::commit::is_own_and_empty;
use crate::error::Result;
use crate::key_index::KeyIndex;
use crate::rebuild::{rebase, rebuild};

pub(crate) struct Mirror {
    pub index: KeyIndex,
    pub key_columns: Vec<String>,
}

/// What happened to the table since the snapshot that the index mirrors.
enum Since {
    /// Takeovers, or nothing at all: no row moved.
    RowsStayed,
    /// Compactions, by anybody: rows moved and stayed the same.
    RowsMoved,
    /// Anything else, or a past that is not there any more.
    Unknown,
}

impl Mirror {
    /// Brings the index to the head. After takeovers it only has to be told, after compactions it reads where the rows
    /// went; where anybody else has changed the table it is built again from the key columns.
    pub async fn follow(&mut self, head: &Table) -> Result<()> {
        let metadata = head.metadata();
        let Some(head_id) = metadata.current_snapshot_id().filter(|id| Some(*id) != self.index.marker()) else {
            return Ok(());
        };
        let table = head.identifier();
        match since(metadata, head_id, self.index.marker()) {
            Since::RowsStayed => return self.index.set_marker(head_id),
            Since::RowsMoved => {
                if rebase(head, &self.key_columns, &mut self.index).await? {
                    info!(%table, snapshot_id = head_id, "rebased the key index after a compaction");
                    return Ok(());
                }
            }
            Since::Unknown => {}
        }
        info!(%table, snapshot_id = head_id, "rebuilding the key index");
        rebuild(head, &self.key_columns, &mut self.index).await?;
        info!(%table, keys = self.index.len(), "rebuilt the key index");
        Ok(())
    }
}

/// Looks back from the head to the snapshot `marker`.
fn since(metadata: &TableMetadata, head_id: i64, marker: Option<i64>) -> Since {
    let mut rows_moved = false;
    let mut id = Some(head_id);
    while id != marker {
        let Some(snapshot) = id.and_then(|id| metadata.snapshot_by_id(id)) else {
            return Since::Unknown;
        };
        match snapshot.summary().operation {
            _ if is_own_and_empty(snapshot) => {}
            Operation::Replace => rows_moved = true,
            _ => return Since::Unknown,
        }
        id = snapshot.parent_snapshot_id();
    }
    match (marker, rows_moved) {
        (None, _) => Since::Unknown,
        (Some(_), true) => Since::RowsMoved,
        (Some(_), false) => Since::RowsStayed,
    }
}
