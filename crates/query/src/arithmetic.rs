//! Where Athena computes otherwise than DataFusion: quotients, sums and averages of decimals, casts to whole numbers and
//! of timestamps to text.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::functions::math;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, Expr, ExprSchemable, GetFieldAccess, LogicalPlan, Projection, ScalarUDF, TryCast, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::{functions, timestamps};

/// Plans `a / b` of decimals, and `map[key]`.
#[derive(Debug)]
pub(crate) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_division = matches!(expr.op, BinaryOperator::Divide);
        let types = (expr.left.get_type(schema), expr.right.get_type(schema));
        let (Ok(left), Ok(right)) = types else { return Ok(PlannerResult::Original(expr)) };
        let is_exact = |of: &DataType| is_decimal(of) || of.is_integer();
        if !is_division || !is_exact(&left) || !is_exact(&right) || !(is_decimal(&left) || is_decimal(&right)) {
            return Ok(PlannerResult::Original(expr));
        }
        let divide = ScalarUDF::from(functions::decimal_divide());
        Ok(PlannerResult::Planned(divide.call(vec![expr.left, expr.right])))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let is_map = matches!(access.expr.get_type(schema), Ok(DataType::Map(..)));
        let key = match access.field_access.clone() {
            GetFieldAccess::ListIndex { key } if is_map => *key,
            GetFieldAccess::NamedStructField { name } if is_map => Expr::Literal(name, None),
            _ => return Ok(PlannerResult::Original(access)),
        };
        let element_at = ScalarUDF::from(functions::element_at());
        Ok(PlannerResult::Planned(element_at.call(vec![access.expr, key])))
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..))
}

/// Rewrites casts and aggregates once types are known.
#[derive(Debug)]
pub(crate) struct AsAthena;

impl AnalyzerRule for AsAthena {
    fn name(&self) -> &str {
        "as_athena"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(analyze).map(|plan| plan.data)
    }
}

/// `expr` as Athena computes it.
pub(crate) fn in_athena(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| rewrite(expr, schema)).map(|expr| expr.data)
}

fn analyze(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&scan.projected_schema);
    }
    let agreed = timestamps::agree_in_union(plan)?;
    if agreed.transformed {
        return Ok(agreed);
    }
    let plan = agreed.data;
    let names = NamePreserver::new(&plan);
    let known_as = plan.schema().columns();
    let is_window_or_aggregate = matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
        // An aggregate's name is made of its arguments.
        let changed = rewritten.transformed && !is_window_or_aggregate;
        Ok(if changed { rewritten.update_data(|expr| name.restore(expr)) } else { rewritten })
    })?;
    let plan = plan.map_data(|plan| plan.recompute_schema())?.transform_data(narrow_decimals)?;
    if is_window_or_aggregate { plan.transform_data(|plan| under_names(plan, known_as)) } else { Ok(plan) }
}

/// The columns of `plan` as they are looked up from above, where rewriting has changed their names.
fn under_names(plan: LogicalPlan, known_as: Vec<Column>) -> Result<Transformed<LogicalPlan>> {
    let columns = plan.schema().columns();
    if columns == known_as {
        return Ok(Transformed::no(plan));
    }
    let shown = columns.into_iter().zip(known_as).map(|(column, known_as)| match column == known_as {
        true => Expr::Column(column),
        false => Expr::Column(column).alias_qualified(known_as.relation, known_as.name),
    });
    let shown = shown.collect();
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(plan))?)))
}

/// Sums and averages of decimals in the types that Athena gives them: the largest precision, and the argument's own type.
fn narrow_decimals(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let (computed, input) = match &plan {
        LogicalPlan::Aggregate(aggregate) => (&aggregate.aggr_expr, &aggregate.input),
        LogicalPlan::Window(window) => (&window.window_expr, &window.input),
        _ => return Ok(Transformed::no(plan)),
    };
    let columns = plan.schema().columns();
    let first = columns.len() - computed.len();
    let mut types = vec![None; first];
    for expr in computed {
        types.push(type_in_athena(expr, input.schema())?);
    }
    if types.iter().all(Option::is_none) {
        return Ok(Transformed::no(plan));
    }
    let shown = columns.into_iter().zip(types).map(|(column, data_type)| match data_type {
        Some(data_type) => {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            cast(Expr::Column(column), data_type).alias_qualified(relation, name)
        }
        None => Expr::Column(column),
    });
    let shown = shown.collect();
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(plan))?)))
}

fn type_in_athena(expr: &Expr, schema: &DFSchema) -> Result<Option<DataType>> {
    let (name, args) = match expr {
        Expr::Alias(alias) => return type_in_athena(&alias.expr, schema),
        Expr::AggregateFunction(function) => (function.func.name(), &function.params.args),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::AggregateUDF(aggregate) => (aggregate.name(), &function.params.args),
            WindowFunctionDefinition::WindowUDF(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(Ok(DataType::Decimal128(precision, scale))) = args.first().map(|arg| arg.get_type(schema)) else {
        return Ok(None);
    };
    Ok(match name {
        "sum" => Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)),
        "avg" => Some(DataType::Decimal128(precision, scale)),
        _ => None,
    })
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr: of, data_type }) => {
            let from = of.get_type(schema)?;
            if is_fraction(&from) && data_type.is_integer() {
                let rounded = math::round().call(vec![*of]);
                return Ok(Transformed::yes(cast(rounded, data_type)));
            }
            if is_timestamp(&from) && data_type.is_string() {
                let text = ScalarUDF::from(functions::timestamp_text()).call(vec![*of]);
                return Ok(Transformed::yes(cast(text, data_type)));
            }
            Ok(Transformed::no(Expr::Cast(Cast { expr: of, data_type })))
        }
        Expr::TryCast(TryCast { expr: of, data_type }) => {
            let from = of.get_type(schema)?;
            if is_fraction(&from) && data_type.is_integer() {
                let rounded = Box::new(math::round().call(vec![*of]));
                return Ok(Transformed::yes(Expr::TryCast(TryCast { expr: rounded, data_type })));
            }
            Ok(Transformed::no(Expr::TryCast(TryCast { expr: of, data_type })))
        }
        other => timestamps::agree(other, schema)?.transform_data(|expr| widen_decimals(expr, schema)),
    }
}

/// Gives decimals of which one is chosen the digits of all of them. DataFusion does so later, when the types of sums over them
/// are settled.
fn widen_decimals(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(choices) = timestamps::choices(&mut expr) else { return Ok(Transformed::no(expr)) };
    let types = choices.iter().map(|choice| choice.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let digits = |of: &DataType| match of {
        DataType::Decimal128(precision, scale) => Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale))),
        DataType::Int64 => Some((19, 0)),
        other if other.is_integer() => Some((10, 0)),
        _ => None,
    };
    let known = || types.iter().filter(|of| **of != DataType::Null);
    if !known().any(is_decimal) || known().any(|of| digits(of).is_none()) {
        return Ok(Transformed::no(expr));
    }
    let whole = known().filter_map(digits).map(|(whole, _)| whole).max().unwrap_or_default();
    let scale = known().filter_map(digits).map(|(_, scale)| scale).max().unwrap_or_default();
    let precision = (whole + scale).min(i16::from(DECIMAL128_MAX_PRECISION));
    let wanted = DataType::Decimal128(precision as u8, scale as i8);
    if known().all(|of| *of == wanted) {
        return Ok(Transformed::no(expr));
    }
    for choice in choices {
        let narrow = std::mem::take(choice);
        *choice = cast(narrow, wanted.clone());
    }
    Ok(Transformed::yes(expr))
}

fn is_fraction(data_type: &DataType) -> bool {
    is_decimal(data_type) || data_type.is_floating()
}

fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}
