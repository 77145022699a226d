//! Keeps UNNEST from making all its rows at once.
//!
//! DataFusion turns a batch of rows with arrays into one batch of all their elements, outside of any memory limit: 8,192
//! rows with `sequence(1, 1000000)` would be 65 GB in one piece, which no process survives. So the arrays are computed for a few
//! rows at a time, as few as make a batch of some thousand elements.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

/// Elements of arrays that may come of one portion; a row's own may be more.
const ELEMENTS_MAX: usize = 65_536;

/// Puts portions below every UNNEST.
#[derive(Debug)]
pub(crate) struct InPortions;

impl PhysicalOptimizerRule for InPortions {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let below = |plan: Arc<dyn ExecutionPlan>| {
            let Some(unnest) = plan.as_any().downcast_ref::<UnnestExec>() else { return Ok(Transformed::no(plan)) };
            let lists = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
            let of = with_projection_on_top(unnest.input())?;
            let portions = Arc::new(PortionsExec { of, lists });
            Ok(Transformed::yes(plan.with_new_children(vec![portions])?))
        };
        plan.transform_up(below).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "unnest_in_portions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Where the arrays are computed and then handed round, they are computed afterwards instead: portion by portion.
fn with_projection_on_top(input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(repartition) = input.as_any().downcast_ref::<RepartitionExec>() else { return Ok(input.clone()) };
    let projection = repartition.input();
    let is_projection = projection.as_any().is::<ProjectionExec>();
    let (true, Partitioning::RoundRobinBatch(_)) = (is_projection, repartition.partitioning()) else {
        return Ok(input.clone());
    };
    let below = projection.children().into_iter().cloned().map(|below| {
        let handed = RepartitionExec::try_new(below, repartition.partitioning().clone())?;
        Ok(Arc::new(handed) as Arc<dyn ExecutionPlan>)
    });
    projection.clone().with_new_children(below.collect::<Result<_>>()?)
}

/// The rows of `of`, in batches of few enough elements. A projection is computed portion by portion.
#[derive(Debug)]
struct PortionsExec {
    of: Arc<dyn ExecutionPlan>,
    /// The columns that are unnested.
    lists: Vec<usize>,
}

impl DisplayAs for PortionsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortionsExec")
    }
}

impl ExecutionPlan for PortionsExec {
    fn name(&self) -> &'static str {
        "PortionsExec"
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
        let of = children.pop().unwrap_or_else(|| self.of.clone());
        Ok(Arc::new(Self { of, lists: self.lists.clone() }))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let projection = self.of.as_any().downcast_ref::<ProjectionExec>().cloned();
        let input = projection.as_ref().map_or(&self.of, |projection| projection.input());
        let batches = input.execute(partition, context)?;
        let lists = self.lists.clone();
        let portions = batches.map_ok(move |batch| {
            let (projection, lists) = (projection.clone(), lists.clone());
            // From a single row on: how long arrays are shows only when they are there.
            stream::iter(Portions { batch, projection, lists, first: 0, rows: 1 }).boxed()
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.of.schema(), portions.try_flatten())))
    }
}

struct Portions {
    batch: RecordBatch,
    projection: Option<ProjectionExec>,
    lists: Vec<usize>,
    first: usize,
    /// How many rows the next portion takes.
    rows: usize,
}

impl Iterator for Portions {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.batch.num_rows() - self.first;
        if left == 0 {
            return None;
        }
        let slice = self.batch.slice(self.first, self.rows.min(left));
        self.first += slice.num_rows();
        let portion = self.computed(slice);
        if let Ok(portion) = &portion {
            let longest = self.lists.iter().map(|list| longest(portion.column(*list))).max().unwrap_or_default();
            // Arrays of the rows to come may be longer: the portion grows step by step.
            self.rows = (ELEMENTS_MAX / longest.max(1)).clamp(1, self.rows * 2);
        } else {
            self.first = self.batch.num_rows();
        }
        Some(portion)
    }
}

impl Portions {
    fn computed(&self, slice: RecordBatch) -> Result<RecordBatch> {
        let Some(projection) = &self.projection else { return Ok(slice) };
        let columns = projection.expr().iter().map(|column| column.expr.evaluate(&slice)?.into_array(slice.num_rows()));
        let options = RecordBatchOptions::new().with_row_count(Some(slice.num_rows()));
        Ok(RecordBatch::try_new_with_options(projection.schema(), columns.collect::<Result<_>>()?, &options)?)
    }
}

/// The length of the longest array; of what has no length, all its elements.
fn longest(array: &Arc<dyn Array>) -> usize {
    let lengths = length(array.as_ref()).and_then(|lengths| cast(&lengths, &DataType::Int64));
    let longest = lengths.ok().and_then(|lengths| max(lengths.as_any().downcast_ref::<arrow::array::Int64Array>()?));
    usize::try_from(longest.unwrap_or_default()).unwrap_or_default()
}
