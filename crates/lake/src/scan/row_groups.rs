//! Leaves out row groups in which no row can match, where DataFusion must not do it itself.
//!
//! Its own pruning, given a limit, replaces our selection of rows by whole row groups. So for a file with a selection it is
//! switched off, and its first half, which is right, runs here.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::physical_plan::ParquetFileMetrics;
use datafusion::datasource::physical_plan::parquet::{
    ParquetAccessPlan, RowGroupAccessPlanFilter, apply_file_schema_type_coercions,
};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::simplifier::PhysicalExprSimplifier;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;

use crate::scan::by_id::ByFieldId;

/// Takes the row groups out of `plan` that `filters`, all of them over the table's columns, cannot match.
pub(super) fn prune(
    plan: ParquetAccessPlan,
    filters: &[Arc<dyn PhysicalExpr>],
    table: &SchemaRef,
    by_id: &ByFieldId,
    footer: &ParquetMetaData,
) -> Result<ParquetAccessPlan> {
    if filters.is_empty() || footer.num_row_groups() < 2 {
        return Ok(plan);
    }
    let descriptor = footer.file_metadata().schema_descr();
    let file = parquet_to_arrow_schema(descriptor, footer.file_metadata().key_value_metadata())?;
    let file: Arc<Schema> = Arc::new(apply_file_schema_type_coercions(table, &file).unwrap_or(file));
    let adapter = by_id.create(table.clone(), file.clone())?;
    let metrics = ParquetFileMetrics::new(0, "planning", &ExecutionPlanMetricsSet::new());

    let mut row_groups = RowGroupAccessPlanFilter::new(plan);
    for filter in filters {
        let filter = PhysicalExprSimplifier::new(&file).simplify(adapter.rewrite(filter.clone())?)?;
        let pruning = PruningPredicate::try_new(filter, file.clone())?;
        if !pruning.always_true() {
            row_groups.prune_by_statistics(&file, descriptor, footer.row_groups(), &pruning, &metrics);
        }
    }
    Ok(row_groups.build())
}
