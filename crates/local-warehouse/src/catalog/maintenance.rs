//! Maintenance: the settings of tables and table buckets, and each job's last run.
//!
//! Where there is no row, the defaults hold. Rows hang on the id, so they follow a table's renames and go with it.

use std::collections::BTreeMap;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::catalog::error::Result;
use crate::catalog::names::{TableArn, TableBucketArn, TableName};
use crate::catalog::{Catalog, buckets, tables};
use crate::maintenance::{
    Compaction, CompactionStrategy, MaintainedTable, MaintenanceJob, MaintenanceOutcome, SnapshotManagement,
    UnreferencedFileRemoval,
};

/// When a job ran last, and why it failed if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MaintenanceRun {
    pub at_ms: i64,
    pub failure: Option<String>,
}

/// The settings that hold for a table, and what became of them.
#[derive(Debug)]
pub(crate) struct TableMaintenance {
    pub table: TableArn,
    pub compaction: Compaction,
    pub snapshot_management: SnapshotManagement,
    pub unreferenced_file_removal: UnreferencedFileRemoval,
    pub runs: BTreeMap<MaintenanceJob, MaintenanceRun>,
}

impl Catalog {
    pub(crate) fn maintained_tables(&self) -> Result<Vec<MaintainedTable>> {
        self.store.read(|db| {
            let tables = tables::with_metadata(db)?.into_iter().map(|table| {
                Ok(MaintainedTable {
                    table_bucket_arn: table.arn.bucket.to_string(),
                    namespace: table.name.namespace,
                    name: table.name.name,
                    compaction: compaction(db, &table.arn.id)?,
                    snapshot_management: snapshot_management(db, &table.arn.id)?,
                    unreferenced_file_removal: unreferenced_file_removal(db, &table.bucket_id)?,
                    id: table.arn.id,
                })
            });
            tables.collect()
        })
    }

    pub(crate) fn table_maintenance(&self, bucket: &TableBucketArn, name: &TableName) -> Result<TableMaintenance> {
        self.store.read(|db| {
            let table = tables::existing(db, bucket, name)?;
            Ok(TableMaintenance {
                compaction: compaction(db, &table.arn.id)?,
                snapshot_management: snapshot_management(db, &table.arn.id)?,
                unreferenced_file_removal: unreferenced_file_removal(db, &table.bucket_id)?,
                runs: runs(db, &table.arn.id)?,
                table: table.arn,
            })
        })
    }

    pub(crate) fn set_compaction(&self, bucket: &TableBucketArn, name: &TableName, to: &Compaction) -> Result<()> {
        self.store.write(|db| {
            let table = tables::existing(db, bucket, name)?;
            let values = params![table.arn.id, to.is_enabled, to.target_file_size_mb, to.strategy.name()];
            db.execute("INSERT OR REPLACE INTO compaction VALUES (?, ?, ?, ?)", values)?;
            Ok(())
        })
    }

    pub(crate) fn set_snapshot_management(
        &self,
        bucket: &TableBucketArn,
        name: &TableName,
        to: &SnapshotManagement,
    ) -> Result<()> {
        self.store.write(|db| {
            let table = tables::existing(db, bucket, name)?;
            let values = params![table.arn.id, to.is_enabled, to.min_snapshots_to_keep, to.max_snapshot_age_hours];
            db.execute("INSERT OR REPLACE INTO snapshot_management VALUES (?, ?, ?, ?)", values)?;
            Ok(())
        })
    }

    pub(crate) fn unreferenced_file_removal(&self, bucket: &TableBucketArn) -> Result<UnreferencedFileRemoval> {
        self.store.read(|db| unreferenced_file_removal(db, &buckets::existing(db, bucket)?.id))
    }

    pub(crate) fn set_unreferenced_file_removal(
        &self,
        bucket: &TableBucketArn,
        to: &UnreferencedFileRemoval,
    ) -> Result<()> {
        self.store.write(|db| {
            let bucket = buckets::existing(db, bucket)?;
            let values = params![bucket.id, to.is_enabled, to.unreferenced_days, to.non_current_days];
            db.execute("INSERT OR REPLACE INTO unreferenced_file_removal VALUES (?, ?, ?, ?)", values)?;
            Ok(())
        })
    }

    /// Does nothing where the table is gone.
    pub(crate) fn record_maintenance(
        &self,
        table_id: &str,
        job: MaintenanceJob,
        outcome: &MaintenanceOutcome,
        at_ms: i64,
    ) -> Result<()> {
        let failure = match outcome {
            MaintenanceOutcome::Successful => None,
            MaintenanceOutcome::Failed { message } => Some(message),
        };
        self.store.write(|db| {
            db.execute(
                "INSERT OR REPLACE INTO maintenance_run SELECT id, ?, ?, ? FROM iceberg_table WHERE id = ?",
                params![job.name(), at_ms, failure, table_id],
            )?;
            Ok(())
        })
    }
}

fn compaction(db: &Connection, table_id: &str) -> Result<Compaction> {
    let columns = "is_enabled, target_file_size_mb, strategy FROM compaction WHERE table_id = ?";
    setting(db, columns, table_id, |row| {
        let strategy = CompactionStrategy::parse(&row.get::<_, String>(2)?)
            .ok_or_else(|| rusqlite::Error::InvalidColumnType(2, "strategy".to_owned(), Type::Text))?;
        Ok(Compaction { is_enabled: row.get(0)?, target_file_size_mb: row.get(1)?, strategy })
    })
}

fn snapshot_management(db: &Connection, table_id: &str) -> Result<SnapshotManagement> {
    let columns =
        "is_enabled, min_snapshots_to_keep, max_snapshot_age_hours FROM snapshot_management WHERE table_id = ?";
    setting(db, columns, table_id, |row| {
        Ok(SnapshotManagement {
            is_enabled: row.get(0)?,
            min_snapshots_to_keep: row.get(1)?,
            max_snapshot_age_hours: row.get(2)?,
        })
    })
}

fn unreferenced_file_removal(db: &Connection, bucket_id: &str) -> Result<UnreferencedFileRemoval> {
    let columns = "is_enabled, unreferenced_days, non_current_days FROM unreferenced_file_removal WHERE bucket_id = ?";
    setting(db, columns, bucket_id, |row| {
        Ok(UnreferencedFileRemoval {
            is_enabled: row.get(0)?,
            unreferenced_days: row.get(1)?,
            non_current_days: row.get(2)?,
        })
    })
}

fn setting<T: Default>(
    db: &Connection,
    columns: &str,
    owner: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<T> {
    let mut statement = db.prepare_cached(&format!("SELECT {columns}"))?;
    Ok(statement.query_row([owner], read).optional()?.unwrap_or_default())
}

fn runs(db: &Connection, table_id: &str) -> Result<BTreeMap<MaintenanceJob, MaintenanceRun>> {
    let mut statement =
        db.prepare_cached("SELECT at_ms, failure FROM maintenance_run WHERE table_id = ? AND job = ?")?;
    let mut runs = BTreeMap::new();
    for job in MaintenanceJob::ALL {
        let read = |row: &Row<'_>| Ok(MaintenanceRun { at_ms: row.get(0)?, failure: row.get(1)? });
        if let Some(run) = statement.query_row(params![table_id, job.name()], read).optional()? {
            runs.insert(job, run);
        }
    }
    Ok(runs)
}
