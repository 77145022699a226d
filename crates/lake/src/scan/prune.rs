//! Drops manifests and files in which no row can match the query's filters.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use iceberg::spec::{ManifestEntryRef, ManifestFile, TableMetadata};

use crate::scan::bounds::{self, Bounds};
use crate::scan::schema::Columns;

/// The filters of a query, as something to hold against bounds.
pub(super) struct Predicate {
    columns: Arc<Columns>,
    /// All of them must be met.
    pub filters: Vec<Arc<dyn PhysicalExpr>>,
    /// One each, so that a filter DataFusion cannot judge does not hide the others.
    pruning: Vec<PruningPredicate>,
}

impl Predicate {
    pub fn new(state: &dyn Session, columns: &Arc<Columns>, filters: &[Expr]) -> DataFusionResult<Self> {
        let schema = DFSchema::try_from(columns.arrow.clone())?;
        let physical = filters.iter().map(|filter| state.create_physical_expr(filter.clone(), &schema));
        let filters: Vec<Arc<dyn PhysicalExpr>> = physical.collect::<DataFusionResult<_>>()?;
        let pruning = filters.iter().map(|filter| PruningPredicate::try_new(filter.clone(), columns.arrow.clone()));
        let mut pruning: Vec<PruningPredicate> = pruning.collect::<DataFusionResult<_>>()?;
        pruning.retain(|filter| !filter.always_true());
        Ok(Self { columns: columns.clone(), filters, pruning })
    }

    /// Keeps the manifests whose partitions may hold a matching row.
    pub fn prune_manifests<'a>(
        &self,
        metadata: &TableMetadata,
        manifests: Vec<&'a ManifestFile>,
    ) -> Vec<&'a ManifestFile> {
        self.prune(
            manifests,
            |manifest, field_id, data_type| {
                let Some(spec) = metadata.partition_spec_by_id(manifest.partition_spec_id) else {
                    return Bounds::default();
                };
                bounds::of_manifest(manifest, spec, &self.columns.iceberg, field_id, data_type)
            },
            |_| None,
        )
    }

    /// Keeps the files that may hold a matching row. Each comes with its partition spec's id.
    pub fn prune_files(
        &self,
        metadata: &TableMetadata,
        files: Vec<(i32, ManifestEntryRef)>,
    ) -> Vec<(i32, ManifestEntryRef)> {
        self.prune(
            files,
            |(spec_id, entry), field_id, data_type| {
                let spec = metadata.partition_spec_by_id(*spec_id);
                bounds::of_file(entry, spec.map(AsRef::as_ref), field_id, data_type)
            },
            |(_, entry)| Some(entry.record_count()),
        )
    }

    fn prune<T>(
        &self,
        mut containers: Vec<T>,
        bounds: impl Fn(&T, i32, &DataType) -> Bounds,
        rows: impl Fn(&T) -> Option<u64>,
    ) -> Vec<T> {
        for filter in &self.pruning {
            if containers.is_empty() {
                break;
            }
            let statistics =
                Containers { columns: &self.columns, containers: &containers, bounds: &bounds, rows: &rows };
            // LIKE over text as views is one that fails here; the rows are filtered later all the same.
            let Ok(kept) = filter.prune(&statistics) else { continue };
            let mut kept = kept.into_iter();
            containers.retain(|_| kept.next().unwrap_or(true));
        }
        containers
    }
}

/// What is known of each manifest or file.
struct Containers<'a, T, B, R> {
    columns: &'a Columns,
    containers: &'a [T],
    bounds: &'a B,
    rows: &'a R,
}

impl<T, B: Fn(&T, i32, &DataType) -> Bounds, R: Fn(&T) -> Option<u64>> Containers<'_, T, B, R> {
    fn scalars(&self, column: &Column, take: impl Fn(Bounds) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let index = self.columns.arrow.index_of(column.name()).ok()?;
        let data_type = self.columns.arrow.field(index).data_type();
        let unknown = ScalarValue::try_from(data_type).ok()?;
        let bounds =
            self.containers.iter().map(|container| (self.bounds)(container, self.columns.field_id(index), data_type));
        ScalarValue::iter_to_array(bounds.map(|bounds| take(bounds).unwrap_or_else(|| unknown.clone()))).ok()
    }
}

impl<T, B: Fn(&T, i32, &DataType) -> Bounds, R: Fn(&T) -> Option<u64>> PruningStatistics for Containers<'_, T, B, R> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.scalars(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.scalars(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.containers.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let index = self.columns.arrow.index_of(column.name()).ok()?;
        let data_type = self.columns.arrow.field(index).data_type();
        let nulls = self
            .containers
            .iter()
            .map(|container| (self.bounds)(container, self.columns.field_id(index), data_type).nulls);
        Some(Arc::new(nulls.collect::<UInt64Array>()))
    }

    fn row_counts(&self, _column: &Column) -> Option<ArrayRef> {
        Some(Arc::new(self.containers.iter().map(self.rows).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
