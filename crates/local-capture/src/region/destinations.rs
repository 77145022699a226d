//! The Kinesis streams that take the changes of the region's tables.

use super::{DrainError, Region};
use crate::kinesis::destination::{Destination, DestinationStatus};
use crate::kinesis::log::KinesisLogError;

impl Region {
    /// A destination that was being enabled is active if the engine records its table, and was never made if not.
    pub(super) async fn settle_destinations(&self) -> Result<(), DrainError> {
        let catalog = self.kinesis.catalog();
        let is_enabling = |destination: &&Destination| destination.status == DestinationStatus::Enabling;
        for destination in catalog.destinations.iter().filter(is_enabling) {
            let (mut settled, table_name) = (destination.clone(), destination.table_name.clone());
            let table = self.read(move |engine| engine.get_table_metadata(&table_name)).await?;
            let is_recording = table.is_some_and(|table| table.stream_enabled && settled.table_id == table.table_id);
            settled.status = if is_recording { DestinationStatus::Active } else { DestinationStatus::Disabled };
            let settle = self.kinesis.edit(move |draft| {
                draft.set_destination(settled);
                Ok(())
            });
            settle.await.map_err(|_| DrainError::Kinesis(KinesisLogError::Closed))?;
        }
        Ok(())
    }

    /// Whether changes of the table go to a Kinesis stream.
    pub(crate) fn has_destination(&self, table_name: &str) -> bool {
        self.kinesis.catalog().destinations.iter().any(|destination| destination.takes(table_name))
    }

    /// Whether anybody needs the engine to record the table's changes.
    pub(crate) fn is_recorded(&self, table_name: &str) -> bool {
        self.has_destination(table_name) || self.log.catalog().writable(table_name).is_some()
    }
}
