//! What S3 Tables is asked to look after, and how that went.
//!
//! `settings` are the values that people put over the API. Whoever runs the jobs takes the tables with their settings from
//! [`Maintenance::tables`] and tells [`Maintenance::record`] what became of each job; GetTableMaintenanceJobStatus says it.

mod settings;

use std::sync::Arc;

pub use settings::{Compaction, CompactionStrategy, SnapshotManagement, UnreferencedFileRemoval};

use crate::WarehouseError;
use crate::catalog::{Catalog, Result};

/// A table that has metadata, and so something to maintain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintainedTable {
    pub table_bucket_arn: String,
    pub namespace: String,
    pub name: String,
    /// Stays through a rename, and is another one when the table is dropped and made again.
    pub id: String,
    pub compaction: Compaction,
    pub snapshot_management: SnapshotManagement,
    pub unreferenced_file_removal: UnreferencedFileRemoval,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaintenanceJob {
    Compaction,
    SnapshotManagement,
    UnreferencedFileRemoval,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaintenanceOutcome {
    Successful,
    /// The message is shown to whoever asks for the status.
    Failed {
        message: String,
    },
}

/// The maintenance side of a warehouse. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Maintenance {
    catalog: Arc<Catalog>,
}

impl MaintenanceJob {
    pub const ALL: [Self; 3] = [Self::Compaction, Self::SnapshotManagement, Self::UnreferencedFileRemoval];

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compaction => "icebergCompaction",
            Self::SnapshotManagement => "icebergSnapshotManagement",
            Self::UnreferencedFileRemoval => "icebergUnreferencedFileRemoval",
        }
    }
}

impl Maintenance {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// All tables of all table buckets, with the settings of now.
    pub async fn tables(&self) -> std::result::Result<Vec<MaintainedTable>, WarehouseError> {
        self.blocking(Catalog::maintained_tables).await
    }

    /// Remembers what became of `job`, durably. A table that was dropped meanwhile is left alone.
    pub async fn record(
        &self,
        table: &MaintainedTable,
        job: MaintenanceJob,
        outcome: MaintenanceOutcome,
        at_ms: i64,
    ) -> std::result::Result<(), WarehouseError> {
        let id = table.id.clone();
        self.blocking(move |catalog| catalog.record_maintenance(&id, job, &outcome, at_ms)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, WarehouseError> {
        let catalog = self.catalog.clone();
        let done = tokio::task::spawn_blocking(move || work(&catalog)).await;
        let done = done.map_err(|panic| WarehouseError::Maintenance(panic.into()))?;
        done.map_err(|error| WarehouseError::Maintenance(error.into()))
    }
}
