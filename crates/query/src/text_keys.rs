//! Groups by text that lies in one piece.
//!
//! Columns are read as views into the pages of their files, which is quick. A GROUP BY whose keys are views cannot spill,
//! though: each batch that DataFusion writes drags the text of all groups along, and merging them asks for it many times
//! over. So keys are copied as they go in, and are views again as they come out.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

#[derive(Debug)]
pub(crate) struct TextKeys;

impl OptimizerRule for TextKeys {
    fn name(&self) -> &str {
        "text_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        let copied = |expr: &Expr| -> Result<Option<Expr>> {
            let owned = owned(&expr.get_type(aggregate.input.schema())?);
            Ok(owned.map(|owned| cast(expr.clone(), owned)))
        };
        let mut keys = aggregate.group_expr.clone();
        let mut any_is_view = false;
        for key in keys.iter_mut().flat_map(parts) {
            if let Some(copied) = copied(key)? {
                (*key, any_is_view) = (copied, true);
            }
        }
        if !any_is_view {
            return Ok(Transformed::no(plan));
        }
        let grouped = Aggregate::try_new(aggregate.input.clone(), keys, aggregate.aggr_expr.clone())?;
        as_before(aggregate, grouped).map(Transformed::yes)
    }
}

/// What has its bytes to itself, in place of a view.
fn owned(view: &DataType) -> Option<DataType> {
    match view {
        DataType::Utf8View => Some(DataType::LargeUtf8),
        DataType::BinaryView => Some(DataType::LargeBinary),
        _ => None,
    }
}

/// The expressions of a key: several, where it is a set of sets.
fn parts(key: &mut Expr) -> Vec<&mut Expr> {
    match key {
        Expr::GroupingSet(GroupingSet::Rollup(parts) | GroupingSet::Cube(parts)) => parts.iter_mut().collect(),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter_mut().flatten().collect(),
        key => vec![key],
    }
}

/// `grouped`, with the names and types that `before` has.
fn as_before(before: &Aggregate, grouped: Aggregate) -> Result<LogicalPlan> {
    let columns = before.schema.iter().zip(grouped.schema.iter()).map(|((qualifier, field), (found, copied))| {
        let column = Expr::Column(Column::new(found.cloned(), copied.name()));
        if (found, copied.name(), copied.data_type()) == (qualifier, field.name(), field.data_type()) {
            return column;
        }
        let viewed =
            if copied.data_type() == field.data_type() { column } else { cast(column, field.data_type().clone()) };
        viewed.alias_qualified(qualifier.cloned(), field.name())
    });
    let columns = columns.collect();
    let grouped = LogicalPlan::Aggregate(grouped);
    Ok(LogicalPlan::Projection(Projection::try_new_with_schema(columns, grouped.into(), before.schema.clone())?))
}
