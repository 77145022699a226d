//! `CROSS JOIN UNNEST(t.items) WITH ORDINALITY AS i(item, n)`: arrays of the rows before it, turned into rows.
//!
//! DataFusion's planner unnests only arrays that stand by themselves. `gather` makes what stands before an UNNEST one
//! relation with it, and [`Unnesting`] plans that relation.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ListArray, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Column, ExprSchema, ScalarValue, UnnestOptions, plan_err};
use datafusion::error::Result;
use datafusion::functions_nested::{cardinality, map_keys, map_values, range};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit, when};
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Join, JoinConstraint, JoinOperator, Query, SetExpr, TableAlias, TableFactor, TableWithJoins,
    Value, VisitorMut,
};

use crate::time_travel::visit;

/// Makes a relation of every UNNEST and all that stands before it.
pub(crate) fn gather(statement: &mut Statement) {
    let _ = visit(statement, &mut Gather);
}

struct Gather;

impl VisitorMut for Gather {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        gather_in(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn gather_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            let mut from: Vec<TableWithJoins> = Vec::new();
            for mut item in std::mem::take(&mut select.from) {
                // `FROM t, UNNEST(t.items)` is a cross join.
                if matches!(item.relation, TableFactor::UNNEST { .. })
                    && let Some(mut before) = from.pop()
                {
                    while let Some(earlier) = from.pop() {
                        let later = std::mem::replace(&mut before, earlier);
                        before.joins.push(cross_join(later.relation));
                        before.joins.extend(later.joins);
                    }
                    before.joins.push(cross_join(item.relation));
                    before.joins.append(&mut item.joins);
                    item = before;
                }
                from.push(gather_joins(item));
            }
            select.from = from;
        }
        SetExpr::SetOperation { left, right, .. } => {
            gather_in(left);
            gather_in(right);
        }
        _ => {}
    }
}

fn gather_joins(item: TableWithJoins) -> TableWithJoins {
    let mut gathered = TableWithJoins { relation: item.relation, joins: Vec::new() };
    for join in item.joins {
        let is_unnest = matches!(join.relation, TableFactor::UNNEST { .. });
        gathered.joins.push(join);
        if is_unnest {
            let nested = TableFactor::NestedJoin { table_with_joins: Box::new(gathered), alias: None };
            gathered = TableWithJoins { relation: nested, joins: Vec::new() };
        }
    }
    gathered
}

fn cross_join(relation: TableFactor) -> Join {
    Join { relation, global: false, join_operator: JoinOperator::CrossJoin(JoinConstraint::None) }
}

/// Plans what [`gather`] has made, and an UNNEST that stands alone.
#[derive(Debug)]
pub(crate) struct Unnesting;

impl RelationPlanner for Unnesting {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (left, unnest, keeps_left) = match relation {
            TableFactor::UNNEST { .. } => (None, relation, false),
            TableFactor::NestedJoin { mut table_with_joins, alias } => {
                let is_unnest = |join: &Join| matches!(join.relation, TableFactor::UNNEST { .. });
                if alias.is_some() || !table_with_joins.joins.last().is_some_and(is_unnest) {
                    return Ok(RelationPlanning::Original(Box::new(TableFactor::NestedJoin {
                        table_with_joins,
                        alias,
                    })));
                }
                let Some(Join { relation: unnest, join_operator, .. }) = table_with_joins.joins.pop() else {
                    return plan_err!("an UNNEST without a join");
                };
                let keeps_left = keeps_left(&join_operator)?;
                let left = match table_with_joins.joins.is_empty() {
                    true => table_with_joins.relation,
                    false => TableFactor::NestedJoin { table_with_joins, alias: None },
                };
                (Some(context.plan(left)?), unnest, keeps_left)
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = unnest else {
            return plan_err!("an UNNEST that is none");
        };
        let left = match left {
            Some(left) => left,
            None => LogicalPlanBuilder::empty(true).build()?,
        };
        let arrays = (array_exprs.into_iter())
            .map(|array| context.sql_to_expr(array, left.schema()))
            .collect::<Result<Vec<_>>>()?;
        let plan = unnest_arrays(left, arrays, with_ordinality, alias, keeps_left)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// Whether a row without elements stays. A condition other than TRUE is not Athena's either.
fn keeps_left(join: &JoinOperator) -> Result<bool> {
    let is_true = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(SqlExpr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match join {
        JoinOperator::CrossJoin(_) => Ok(false),
        JoinOperator::Join(on) | JoinOperator::Inner(on) if is_true(on) => Ok(false),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if is_true(on) => Ok(true),
        _ => plan_err!("UNNEST is joined with CROSS JOIN, or with LEFT JOIN … ON TRUE"),
    }
}

/// `left` with a row for each element of `arrays`, side by side.
fn unnest_arrays(
    left: LogicalPlan,
    arrays: Vec<Expr>,
    with_ordinality: bool,
    alias: Option<TableAlias>,
    keeps_left: bool,
) -> Result<LogicalPlan> {
    let lists = lists(arrays, &left)?;
    let alias = alias.map(|alias| (name_of(alias.name), alias.columns));
    let qualifier = alias.as_ref().map(|(name, _)| TableReference::bare(name.as_str()));
    let names: Vec<String> =
        alias.into_iter().flat_map(|(_, columns)| columns).map(|column| name_of(column.name)).collect();

    let kept: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
    let list_name = |index: usize| format!("__unnest_{index}");
    let ordinals = lists.iter().map(|list| cardinality::cardinality_udf().call(vec![list.clone()]));
    let longest = ordinals.map(|length| cast(length, DataType::Int64)).reduce(|one, other| {
        let other_is_longer = datafusion::functions::core::coalesce().call(vec![other.clone(), lit(0_i64)]);
        let one = datafusion::functions::core::coalesce().call(vec![one, lit(0_i64)]);
        datafusion::functions::core::greatest().call(vec![one, other_is_longer])
    });
    let Some(longest) = longest else { return plan_err!("UNNEST takes at least one array") };
    let mut columns: Vec<Expr> = Vec::new();
    for (index, list) in lists.iter().enumerate() {
        let list = match keeps_left {
            // One NULL in place of nothing.
            true => {
                let of = list.get_type(left.schema())?;
                let DataType::List(element) = &of else { return plan_err!("{of} is no array") };
                let null = new_null_array(element.data_type(), 1);
                let null = ListArray::try_new(element.clone(), OffsetBuffer::from_lengths([1]), null, None)?;
                let length = cast(cardinality::cardinality_udf().call(vec![list.clone()]), DataType::Int64);
                let length = datafusion::functions::core::coalesce().call(vec![length, lit(0_i64)]);
                when(length.gt(lit(0_i64)), list.clone()).otherwise(lit(ScalarValue::List(Arc::new(null))))?
            }
            false => list.clone(),
        };
        columns.push(list.alias(list_name(index)));
    }
    if with_ordinality {
        let series = range::gen_series_udf().call(vec![lit(1_i64), longest]);
        columns.push(series.alias(list_name(lists.len())));
    }
    let unnested: Vec<Column> = (0..columns.len()).map(|index| Column::from_name(list_name(index))).collect();
    let mut plan = LogicalPlanBuilder::from(left)
        .project(kept.iter().cloned().chain(columns))?
        .unnest_columns_with_options(unnested.clone(), UnnestOptions::new().with_preserve_nulls(false))?;

    let mut given = Vec::new();
    for (index, column) in unnested.iter().enumerate() {
        let of = plan.schema().data_type(column)?.clone();
        match of {
            // An array of rows gives a column for each field, unless the names given say otherwise.
            DataType::Struct(fields) if names.len() != unnested.len() => {
                plan = plan.unnest_column(column.clone())?;
                for field in fields.iter() {
                    let of_field = Column::from_name(format!("{}.{}", column.name, field.name()));
                    given.push((Expr::Column(of_field), field.name().clone()));
                }
            }
            _ if index == lists.len() => given.push((Expr::Column(column.clone()), "ordinality".to_owned())),
            _ => given.push((Expr::Column(column.clone()), format!("_col{index}"))),
        }
    }
    if !names.is_empty() && names.len() != given.len() {
        return plan_err!("UNNEST gives {} columns, and {} names were given", given.len(), names.len());
    }
    let named = given.into_iter().enumerate().map(|(index, (value, own))| {
        let name = names.get(index).cloned().unwrap_or(own);
        value.alias_qualified(qualifier.clone(), name)
    });
    plan.project(kept.into_iter().chain(named))?.build()
}

/// Arrays as they are, a map as its keys and its values.
fn lists(arrays: Vec<Expr>, left: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut lists = Vec::new();
    for array in arrays {
        match array.get_type(left.schema())? {
            DataType::Map(..) => {
                lists.push(map_keys::map_keys_udf().call(vec![array.clone()]));
                lists.push(map_values::map_values_udf().call(vec![array]));
            }
            DataType::List(_) => lists.push(array),
            DataType::FixedSizeList(element, _) | DataType::LargeList(element) => {
                lists.push(cast(array, DataType::List(element)));
            }
            other => return plan_err!("UNNEST takes arrays and maps, not {}", crate::type_name::type_name(&other)),
        }
    }
    Ok(lists)
}

fn name_of(name: datafusion::sql::sqlparser::ast::Ident) -> String {
    if name.quote_style.is_some() { name.value } else { name.value.to_lowercase() }
}
