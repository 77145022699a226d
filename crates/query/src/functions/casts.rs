//! Casts and literals: rows with names, JSON, digits of decimals and timestamps, and what TRY makes NULL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, TimezoneInfo,
    TypedString, Value, VisitMut, VisitorMut,
};

use crate::error::{Error, MEANING, Result};
use crate::functions::calls::name_and_arguments;
use crate::functions::templates::{numbered, template};

/// `CAST(ROW(1, 'a') AS ROW(x bigint, y varchar))` names the row's fields; JSON is read into nested types.
pub(super) fn cast(kind: &CastKind, expr: &Expr, data_type: &DataType) -> Result<Option<Expr>> {
    let function = match expr {
        Expr::Function(function) => name_and_arguments(function),
        _ => None,
    };
    match (function, data_type) {
        (None, DataType::Struct(fields, _)) => {
            let Expr::Struct { values, .. } = expr else { return Ok(None) };
            if values.len() != fields.len() {
                let message = format!("a row of {} values is cast to {} fields", values.len(), fields.len());
                return Err(Error::new(MEANING, message));
            }
            let mut parts = Vec::new();
            for (value, field) in values.iter().cloned().zip(fields) {
                let name = field.field_name.as_ref().map(|name| name.value.to_lowercase()).unwrap_or_default();
                let name = Expr::Value(Value::SingleQuotedString(name).into());
                let inner = cast(kind, &value, &field.field_type)?;
                parts.extend([name, inner.unwrap_or_else(|| cast_to(kind, value, &field.field_type))]);
            }
            template(&format!("named_struct({})", numbered(parts.len())), &parts)
        }
        (Some((name, _)), DataType::Struct(..) | DataType::Array(_) | DataType::Map(..))
            if name.starts_with("json_") =>
        {
            let null = cast_to(&CastKind::Cast, Expr::Value(Value::Null.into()), data_type);
            template("json_cast($1, $2)", &[expr.clone(), null])
        }
        (Some((name, _)), to) if name == "json_extract" && !matches!(to, DataType::JSON) => {
            let mut scalar = expr.clone();
            if let Expr::Function(function) = &mut scalar {
                function.name = ObjectName::from(vec![Ident::new("json_extract_scalar")]);
            }
            Ok(Some(cast_to(kind, scalar, data_type)))
        }
        _ => Ok(None),
    }
}

pub(super) fn cast_to(kind: &CastKind, expr: Expr, data_type: &DataType) -> Expr {
    Expr::Cast { kind: kind.clone(), expr: Box::new(expr), data_type: data_type.clone(), array: false, format: None }
}

/// `TIMESTAMP '2026-11-22 12:00:00.123456 UTC'`: the text tells precision and zone.
pub(super) fn timestamp(typed: &mut TypedString) {
    let DataType::Timestamp(precision @ None, zone) = &mut typed.data_type else { return };
    let Value::SingleQuotedString(text) = &typed.value.value else { return };
    let text = text.trim();
    let digits = text.split_once('.').map_or(0, |(_, behind)| behind.bytes().take_while(u8::is_ascii_digit).count());
    *precision = Some(match digits {
        0..=3 => 3,
        4..=6 => 6,
        _ => 9,
    });
    let time = text.get(10..).unwrap_or("");
    if *zone == TimezoneInfo::None && time.contains(|character: char| character.is_alphabetic() && character != 'T') {
        *zone = TimezoneInfo::WithTimeZone;
    }
}

/// `DECIMAL '1.50'` has the digits that are written.
pub(super) fn decimal(typed: &TypedString) -> Option<Expr> {
    let (DataType::Decimal(ExactNumberInfo::None), Value::SingleQuotedString(text)) =
        (&typed.data_type, &typed.value.value)
    else {
        return None;
    };
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| Expr::Value(Value::Number(text.clone(), false).into()))
}

/// `1e3` is a double.
pub(super) fn double(value: &Value) -> Option<Expr> {
    let Value::Number(digits, _) = value else { return None };
    let text = Expr::Value(Value::SingleQuotedString(digits.clone()).into());
    digits.contains(['e', 'E']).then(|| cast_to(&CastKind::Cast, text, &DataType::DoublePrecision))
}

/// In `f(x).a` and `x[1].a` the planner wants the field's name as text.
pub(super) fn name_fields(access_chain: &mut [AccessExpr], mut is_behind_subscript: bool) {
    for access in access_chain {
        match access {
            AccessExpr::Subscript(_) => is_behind_subscript = true,
            AccessExpr::Dot(Expr::Identifier(name)) if is_behind_subscript => {
                let name = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
                *access = AccessExpr::Dot(Expr::Value(Value::SingleQuotedString(name).into()));
            }
            AccessExpr::Dot(_) => {}
        }
    }
}

/// `expr` with NULL in place of what can fail in it: a cast, a division by zero.
pub(super) fn without_errors(mut expr: Expr) -> Expr {
    let _ = VisitMut::visit(&mut expr, &mut WithoutErrors);
    expr
}

struct WithoutErrors;

impl VisitorMut for WithoutErrors {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { kind, .. } => *kind = CastKind::TryCast,
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => {
                let is_done =
                    matches!(right.as_ref(), Expr::Function(function) if function.name.to_string() == "nullif");
                if !is_done && let Ok(Some(safe)) = template("nullif($1, 0)", &[(**right).clone()]) {
                    **right = safe;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
