//! The key index, kept in step with the table's head.

use iceberg::table::Table;
use tracing::info;

use crate::commit::is_own_and_empty;
use crate::error::Result;
use crate::key_index::KeyIndex;
use crate::rebuild::rebuild;

pub(crate) struct Mirror {
    pub index: KeyIndex,
    pub key_columns: Vec<String>,
}

impl Mirror {
    /// Brings the index to the head. Takeovers moved no row, so that it only has to be told; where anybody else has
    /// changed the table, compaction included, it is built again from the key columns.
    pub async fn follow(&mut self, head: &Table) -> Result<()> {
        let metadata = head.metadata();
        let Some(head_id) = metadata.current_snapshot_id() else {
            return Ok(());
        };
        let mut id = Some(head_id);
        while let Some(snapshot) =
            id.filter(|id| Some(*id) != self.index.marker()).and_then(|id| metadata.snapshot_by_id(id))
        {
            if !is_own_and_empty(snapshot) {
                break;
            }
            id = snapshot.parent_snapshot_id();
        }

        if self.index.marker() == Some(head_id) {
            return Ok(());
        }
        if id.is_some() && id == self.index.marker() {
            return self.index.set_marker(head_id);
        }
        info!(table = %head.identifier(), snapshot_id = head_id, "rebuilding the key index");
        rebuild(head, &self.key_columns, &mut self.index).await?;
        info!(keys = self.index.len(), "rebuilt the key index");
        Ok(())
    }
}
