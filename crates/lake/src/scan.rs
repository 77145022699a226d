//! Reads a table through DataFusion: one snapshot, its deletes applied, columns found by field id.
//!
//! `snapshot_files` lists what the snapshot holds, `prune`, `bounds` and `row_groups` drop what a filter cannot match,
//! `deletes` turns position deletes into row selections, `by_id` and `align` fit a file's columns to the table's.
//! `execution` makes the plan: DataFusion's own Parquet scan for each `large_file`, in `pieces` that its `footer` allows, and
//! ours for `small_files`, each a `small_file`; `whole_file` reads one file in its own order, `positioned` tells of each row
//! where it is. `cache` keeps what never changes: manifests, deletes,
//! footers; `pins` keeps a snapshot's files from being deleted while it is read.

mod align;
mod bounds;
mod by_id;
mod cache;
mod deletes;
mod execution;
mod footer;
mod large_file;
mod location;
mod pieces;
mod pins;
mod positioned;
mod prune;
mod row_groups;
mod schema;
mod small_file;
mod small_files;
mod snapshot_files;
mod statistics;
#[cfg(test)]
mod tests;
mod whole_file;

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;
use iceberg::{Runtime, TableIdent};
use object_store::ObjectStore;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
pub use crate::scan::cache::ScanCache;
pub(crate) use crate::scan::deletes::deleted_rows;
pub(crate) use crate::scan::location::Location;
use crate::scan::pins::Pin;
pub(crate) use crate::scan::positioned::PositionedTable;
pub(crate) use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// Opens the object store that holds a location (`s3://bucket/…`, `file:///…`).
pub type OpenStore = Arc<dyn Fn(&str) -> Result<Arc<dyn ObjectStore>> + Send + Sync>;

/// One snapshot of a table, for DataFusion to read.
#[derive(Clone)]
pub struct LakeTable {
    table: Table,
    /// `None` where the table has no snapshot yet: it has no rows.
    snapshot: Option<SnapshotRef>,
    columns: Arc<schema::Columns>,
    open_store: OpenStore,
    cache: Arc<ScanCache>,
    /// Keeps the snapshot's files.
    pin: Option<Arc<Pin>>,
}

impl LakeTable {
    /// Loads a table of `catalog` as it is now.
    pub async fn load(catalog: &Catalog, table: &TableIdent, cache: Arc<ScanCache>) -> Result<Self> {
        let table = catalog.load_table(table).await?;
        let catalog = catalog.clone();
        Self::new(table, Arc::new(move |location| catalog.store_for(location)), cache)
    }

    /// The table as `table` holds it: its current snapshot and schema.
    pub fn new(table: Table, open_store: OpenStore, cache: Arc<ScanCache>) -> Result<Self> {
        let snapshot = table.metadata().current_snapshot().cloned();
        let columns = Arc::new(schema::Columns::new(table.metadata().current_schema())?);
        let pin = snapshot.as_ref().map(|snapshot| Arc::new(cache.pins.pin(table.metadata().uuid(), snapshot)));
        Ok(Self { table, snapshot, columns, open_store, cache, pin })
    }

    /// Another state of the same table, read through the same stores.
    pub(crate) fn at_table(&self, table: Table) -> Result<Self> {
        Self::new(table, self.open_store.clone(), self.cache.clone())
    }

    /// The same table under another name, as a link gives it one.
    pub fn named(&self, identifier: TableIdent) -> Self {
        let mut builder = Table::builder()
            .identifier(identifier)
            .file_io(self.table.file_io().clone())
            .metadata(self.table.metadata_ref())
            .runtime(Runtime::current())
            .disable_cache();
        if let Some(location) = self.table.metadata_location() {
            builder = builder.metadata_location(location);
        }
        Self { table: builder.build().expect("all that a table needs is there"), ..self.clone() }
    }

    /// The store that holds a file of the table, and the file's key there.
    pub(crate) fn locate(&self, path: &str) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        Ok(((self.open_store)(path)?, location::Location::parse(path)?.path))
    }

    /// The same table at another of its snapshots, under the schema of that time.
    pub fn at_snapshot(&self, snapshot_id: i64) -> Result<Self> {
        let snapshot = self.table.metadata().snapshot_by_id(snapshot_id).cloned();
        let Some(snapshot) = snapshot else {
            let message = format!("find snapshot {snapshot_id} of {}: it does not exist or has expired", self.name());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        let schema = snapshot.schema(self.table.metadata()).map_err(|error| self.unreadable("schema", error))?;
        let columns = Arc::new(schema::Columns::new(&schema)?);
        let pin = Arc::new(self.cache.pins.pin(self.table.metadata().uuid(), &snapshot));
        Ok(Self { snapshot: Some(snapshot), columns, pin: Some(pin), ..self.clone() })
    }

    /// The same table as it was at `timestamp_ms`: the snapshot that was current then.
    pub fn at_time(&self, timestamp_ms: i64) -> Result<Self> {
        let history = self.table.metadata().history();
        let current = history.iter().rev().find(|entry| entry.timestamp_ms() <= timestamp_ms);
        let Some(entry) = current else {
            let message = format!("find a snapshot of {} at or before {timestamp_ms} ms", self.name());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        self.at_snapshot(entry.snapshot_id)
    }

    /// The snapshot this reads; `None` where the table has none.
    pub fn snapshot(&self) -> Option<&SnapshotRef> {
        self.snapshot.as_ref()
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The paths of the data files that may hold rows for all of `filters`.
    pub async fn files_matching(&self, state: &dyn Session, filters: &[Expr]) -> DataFusionResult<Vec<String>> {
        let predicate = prune::Predicate::new(state, &self.columns, filters)?;
        let files = self.plan(&predicate).await.map_err(|error| DataFusionError::External(error.into()))?;
        Ok(files.iter().map(|file| file.entry.file_path().to_owned()).collect())
    }

    /// The columns in Iceberg's terms, in the order of [`TableProvider::schema`].
    pub fn columns(&self) -> &iceberg::spec::Schema {
        &self.columns.iceberg
    }

    fn name(&self) -> String {
        self.table.identifier().to_string()
    }

    fn unreadable(&self, what: &str, error: iceberg::Error) -> Error {
        Error::new(ErrorKind::Unexpected, format!("read {what} of {}", self.name())).with_source(error)
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.columns.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Every filter is a hint only. If one were `Exact`, a LIMIT would reach the Parquet reader together with it, and
    /// the reader's short cut for that case forgets which rows are deleted.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let predicate = prune::Predicate::new(state, &self.columns, filters)?;
        let files = self.plan(&predicate).await.map_err(|error| DataFusionError::External(error.into()))?;
        self.execute(state, files, &predicate, projection, limit).await
    }
}

/// The table's current columns in Arrow, as files have them.
pub fn arrow_schema(table: &Table) -> Result<SchemaRef> {
    let schema = schema_to_arrow_schema(table.metadata().current_schema());
    let schema = schema
        .map_err(|error| Error::from_iceberg(format!("read the schema of table {}", table.identifier()), error))?;
    Ok(Arc::new(schema))
}

impl std::fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let snapshot_id = self.snapshot.as_ref().map(|snapshot| snapshot.snapshot_id());
        f.debug_struct("LakeTable").field("table", &self.name()).field("snapshot_id", &snapshot_id).finish()
    }
}
