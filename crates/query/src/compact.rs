//! Keeps `ORDER BY … LIMIT` from paying for a whole aggregation.
//!
//! An aggregation gives its groups as slices of one large batch. What keeps the first rows of each slice is charged for
//! the large batch each time, in the limit for memory: 1.2 GB for ten rows out of two million. So the slices that go there
//! are copied.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;

/// Copies what goes from an aggregation into a sort that keeps a few rows.
#[derive(Debug)]
pub(crate) struct CompactBeforeTopK;

impl PhysicalOptimizerRule for CompactBeforeTopK {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let below = |plan: Arc<dyn ExecutionPlan>| {
            let Some(sort) = plan.as_any().downcast_ref::<SortExec>() else { return Ok(Transformed::no(plan)) };
            if sort.fetch().is_none() || !is_of_aggregation(sort.input()) {
                return Ok(Transformed::no(plan));
            }
            let compact = Arc::new(CompactExec { of: sort.input().clone() });
            Ok(Transformed::yes(plan.with_new_children(vec![compact])?))
        };
        plan.transform_up(below).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "compact_before_top_k"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_of_aggregation(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let node = plan.as_any();
    node.is::<AggregateExec>()
        || (node.is::<ProjectionExec>() || node.is::<FilterExec>())
            && plan.children().into_iter().all(is_of_aggregation)
}

/// The batches of `of`, each with memory of its own.
#[derive(Debug)]
struct CompactExec {
    of: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactExec")
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &'static str {
        "CompactExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.of.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { of: children.pop().unwrap_or_else(|| self.of.clone()) }))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.of.execute(partition, context)?;
        let compacted = batches.and_then(async |batch| compact(&batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.of.schema(), compacted)))
    }
}

fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = UInt32Array::from_iter_values(0..batch.num_rows() as u32);
    let copied = |column: &ArrayRef| -> Result<ArrayRef> {
        Ok(match column.data_type() {
            // Taking from views takes their buffers along.
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => take(column, &rows, None)?,
        })
    };
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().map(copied).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}
