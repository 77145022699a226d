//! Timestamps of unlike digits meet: the finer digits count, as in Trino.
//!
//! DataFusion would cut all of them to the coarser ones, so that `TIMESTAMP '… 10:00:00.000001'` were equal to
//! `TIMESTAMP '… 10:00:00'`, and lost digits in VALUES and UNION.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, Case, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, cast};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Expr as SqlExpr, Query, SetExpr, TypedString, Value, VisitorMut,
};

use crate::time_travel::visit;

/// Functions that give one of their arguments.
const ONE_OF: [&str; 3] = ["coalesce", "greatest", "least"];
const COMPARISONS: [Operator; 8] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];
/// Finer ones are nanoseconds, which nothing else here has.
const DIGITS_MAX: usize = 6;

/// Gives the arguments of a comparison or a choice the same digits.
pub(crate) fn agree(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut expr = expr;
    let arguments: Vec<&mut Expr> = match &mut expr {
        Expr::BinaryExpr(binary) if COMPARISONS.contains(&binary.op) => {
            vec![binary.left.as_mut(), binary.right.as_mut()]
        }
        Expr::Between(Between { expr, low, high, .. }) => vec![expr.as_mut(), low.as_mut(), high.as_mut()],
        Expr::InList(InList { expr, list, .. }) => std::iter::once(expr.as_mut()).chain(list).collect(),
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => call.args.iter_mut().collect(),
        choice => match choices(choice) {
            Some(choices) => choices,
            None => return Ok(Transformed::no(expr)),
        },
    };
    let types = arguments.iter().map(|argument| argument.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let Some(finest) = finest(types.iter()) else { return Ok(Transformed::no(expr)) };
    for (argument, of) in arguments.into_iter().zip(types) {
        if let Some(wanted) = refined(&of, finest) {
            let coarse = std::mem::take(argument);
            *argument = cast(coarse, wanted);
        }
    }
    Ok(Transformed::yes(expr))
}

/// The expressions of which one is the value; `None` where it is no choice.
pub(crate) fn choices(expr: &mut Expr) -> Option<Vec<&mut Expr>> {
    match expr {
        Expr::Case(Case { when_then_expr, else_expr, .. }) => {
            let results = when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            Some(results.chain(else_expr.iter_mut().map(|otherwise| otherwise.as_mut())).collect())
        }
        Expr::ScalarFunction(call) if ONE_OF.contains(&call.func.name()) => Some(call.args.iter_mut().collect()),
        _ => None,
    }
}

/// Gives the columns of a UNION's queries the same digits.
pub(crate) fn agree_in_union(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Union(union) = &plan else { return Ok(Transformed::no(plan)) };
    let types = |index: usize| {
        union.inputs.iter().filter_map(move |input| input.schema().fields().get(index)).map(|field| field.data_type())
    };
    let finest: Vec<Option<TimeUnit>> = (0..union.schema.fields().len()).map(|index| finest(types(index))).collect();
    if finest.iter().all(Option::is_none) {
        return Ok(Transformed::no(plan));
    }
    let refine = |input: &Arc<LogicalPlan>| {
        let columns = input.schema().columns().into_iter().zip(input.schema().fields()).zip(&finest);
        let columns = columns.map(|((column, field), finest)| {
            let wanted = finest.and_then(|finest| refined(field.data_type(), finest));
            let name = (column.relation.clone(), column.name.clone());
            match wanted {
                Some(wanted) => cast(Expr::Column(column), wanted).alias_qualified(name.0, name.1),
                None => Expr::Column(column),
            }
        });
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns.collect(), input.clone())?)))
    };
    let inputs = union.inputs.iter().map(refine).collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// The finest unit of timestamps that have several.
fn finest<'a>(types: impl Iterator<Item = &'a DataType>) -> Option<TimeUnit> {
    let units = types.filter_map(|of| match of {
        DataType::Timestamp(unit, _) => Some(*unit),
        _ => None,
    });
    let units: Vec<TimeUnit> = units.collect();
    let finest = units.iter().max_by_key(|unit| digits(**unit))?;
    units.iter().any(|unit| unit != finest).then_some(*finest)
}

/// The type with finer digits; `None` where it has them.
fn refined(of: &DataType, finest: TimeUnit) -> Option<DataType> {
    match of {
        DataType::Timestamp(unit, zone) if digits(*unit) < digits(finest) => {
            Some(DataType::Timestamp(finest, zone.clone()))
        }
        _ => None,
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// Gives the literals of a VALUES list the same digits: its columns have their types before any rule can see them.
pub(crate) fn agree_in_values(statement: &mut Statement) {
    let _ = visit(statement, &mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut() {
            let literals: Vec<&mut String> = values.rows.iter_mut().flatten().filter_map(timestamp).collect();
            let longest = literals.iter().map(|text| fraction(text).len()).max().unwrap_or_default().min(DIGITS_MAX);
            for text in literals {
                pad(text, longest);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The text of `TIMESTAMP '…'`.
fn timestamp(expr: &mut SqlExpr) -> Option<&mut String> {
    match expr {
        SqlExpr::TypedString(TypedString { data_type: SqlType::Timestamp(..), value, .. }) => match &mut value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The digits behind the seconds.
fn fraction(text: &str) -> &str {
    let Some((_, behind)) = text.split_once('.') else { return "" };
    let end = behind.find(|character: char| !character.is_ascii_digit()).unwrap_or(behind.len());
    &behind[..end]
}

fn pad(text: &mut String, digits: usize) {
    const SECONDS: usize = "2026-01-01 10:00:00".len();
    let known = fraction(text).len();
    if known >= digits || !text.is_char_boundary(SECONDS) || text.len() < SECONDS {
        return;
    }
    let zeros = "0".repeat(digits - known);
    match text.find('.') {
        Some(point) => text.insert_str(point + 1 + known, &zeros),
        None => text.insert_str(SECONDS, &format!(".{zeros}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_gets_digits_and_keeps_its_zone() {
        let padded = |text: &str, digits| {
            let mut text = text.to_owned();
            pad(&mut text, digits);
            text
        };
        assert_eq!(padded("2026-01-01 10:00:00", 3), "2026-01-01 10:00:00.000");
        assert_eq!(padded("2026-01-01 10:00:00.5 UTC", 6), "2026-01-01 10:00:00.500000 UTC");
        assert_eq!(padded("2026-01-01 10:00:00.5", 0), "2026-01-01 10:00:00.5");
        assert_eq!(padded("2026-01-01", 3), "2026-01-01");
    }
}
