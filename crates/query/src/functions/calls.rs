//! Rewrites a statement's expressions from Athena's functions to those that DataFusion and we have.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, LambdaFunction, ObjectName, OneOrManyWithParens, TimezoneInfo, TypedString,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use crate::dialect::Athena;
use crate::error::{Error, MEANING, OUTSIDE, Result};
use crate::functions::lambdas::{KINDS, planned_name};
use crate::functions::templates;
use crate::time_travel::visit;

/// Functions of other engines that reach out of the lake.
const OUTSIDE_FUNCTIONS: [&str; 12] = [
    "getenv",
    "glob",
    "http_get",
    "http_post",
    "load_file",
    "pg_read_file",
    "pg_ls_dir",
    "read_blob",
    "read_file",
    "read_text",
    "shell",
    "system",
];

/// Says `statement` in functions that can be planned.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<()> {
    match visit(statement, &mut Calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls;

impl VisitorMut for Calls {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let rewritten = match expr {
            Expr::Function(function) => call(function),
            Expr::Extract { field, expr, .. } => extract(field, expr),
            Expr::AtTimeZone { timestamp, time_zone } => at_timezone(timestamp, time_zone),
            Expr::Cast { kind, expr, data_type, .. } => cast(kind, expr, data_type),
            Expr::TypedString(typed) => {
                timestamp(typed);
                Ok(None)
            }
            Expr::Position { expr, r#in } => {
                template("CAST(strpos($2, $1) AS BIGINT)", &[(**expr).clone(), (**r#in).clone()])
            }
            Expr::Lambda(_) => Err(Error::new(MEANING, "a lambda stands only in a function that takes one")
                .with_help(KINDS.map(|(name, _)| name).join(", "))),
            _ => Ok(None),
        };
        match rewritten {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // A lambda becomes text before its own expressions are looked at from outside.
        match expr {
            Expr::Function(function) => match lambda_call(function) {
                Ok(Some(rewritten)) => *expr = rewritten,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The name of a function that is called without a schema, in lower case, and its plain arguments.
fn name_and_arguments(function: &Function) -> Option<(String, Vec<Expr>)> {
    let [part] = function.name.0.as_slice() else { return None };
    let arguments = match &function.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list) => {
            let plain = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            };
            list.args.iter().map(plain).collect::<Option<_>>()?
        }
        FunctionArguments::Subquery(_) => return None,
    };
    Some((part.as_ident()?.value.to_lowercase(), arguments))
}

fn call(function: &Function) -> Result<Option<Expr>> {
    let Some((name, arguments)) = name_and_arguments(function) else { return Ok(None) };
    if OUTSIDE_FUNCTIONS.contains(&name.as_str()) {
        return Err(Error::new(
            OUTSIDE,
            format!("{name} is not allowed: queries read the lake's tables and nothing else"),
        ));
    }
    let rewritten = match (name.as_str(), arguments.as_slice()) {
        ("try", [expr]) => Some(without_errors(expr.clone())),
        ("concat", [first, rest @ ..]) if !rest.is_empty() => Some(Expr::Nested(Box::new(
            rest.iter().fold(first.clone(), |left, right| binary(left, BinaryOperator::StringConcat, right.clone())),
        ))),
        // NULL where one of them is, and not the greatest of the others.
        ("greatest" | "least", [_, _, ..]) => {
            let is_null = arguments.iter().cloned().map(|argument| Expr::IsNull(Box::new(argument)));
            let any = is_null.reduce(|left, right| binary(left, BinaryOperator::Or, right));
            any.map(|any| template("CASE WHEN $1 THEN NULL ELSE $2 END", &[any, Expr::Function(function.clone())]))
                .transpose()?
                .flatten()
        }
        ("substr" | "substring", [text, start, rest @ ..]) if is_negative(start) => {
            let from = template("character_length($1) + $2 + 1", &[text.clone(), start.clone()])?;
            let from = from.unwrap_or_else(|| start.clone());
            match rest {
                [] => template("substr($1, $2)", &[text.clone(), from])?,
                [length, ..] => template("substr($1, $2, $3)", &[text.clone(), from, length.clone()])?,
            }
        }
        ("at_timezone", [timestamp, zone]) => at_timezone(timestamp, zone)?,
        ("row", _) => template(&format!("struct({})", numbered(arguments.len())), &arguments)?,
        ("to_char" | "current_date" | "now", _) => None,
        (name, _) => match templates::find(name, arguments.len()) {
            Some(text) => template(text, &arguments)?.map(|made| with_clauses(made, function)),
            None => None,
        },
    };
    Ok(rewritten)
}

fn is_negative(expr: &Expr) -> bool {
    matches!(expr, Expr::UnaryOp { op: UnaryOperator::Minus, .. })
}

fn numbered(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// `text` with `arguments` in place of `$1`, `$2`, …. It has no places of its own in the SQL text.
fn template(text: &str, arguments: &[Expr]) -> Result<Option<Expr>> {
    let broken = |error: &dyn std::fmt::Display| Error::new(MEANING, format!("the template {text} is broken: {error}"));
    let tokens = Tokenizer::new(&Athena, text).tokenize().map_err(|error| broken(&error))?;
    let mut expr = Parser::new(&Athena).with_tokens(tokens).parse_expr().map_err(|error| broken(&error))?;
    let _ = VisitMut::visit(&mut expr, &mut Arguments(arguments));
    Ok(Some(expr))
}

struct Arguments<'a>(&'a [Expr]);

impl VisitorMut for Arguments<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
        if let Some(argument) = number.and_then(|number| self.0.get(number.checked_sub(1)?)) {
            let is_simple = matches!(
                argument,
                Expr::Value(_)
                    | Expr::Identifier(_)
                    | Expr::CompoundIdentifier(_)
                    | Expr::Function(_)
                    | Expr::Nested(_)
            );
            *expr = if is_simple { argument.clone() } else { Expr::Nested(Box::new(argument.clone())) };
        }
        ControlFlow::Continue(())
    }
}

/// Gives every aggregate in `made` the clauses that the call had: FILTER and OVER.
fn with_clauses(mut made: Expr, call: &Function) -> Expr {
    if call.filter.is_none() && call.over.is_none() {
        return made;
    }
    let _ = VisitMut::visit(&mut made, &mut Clauses(call));
    made
}

struct Clauses<'a>(&'a Function);

impl VisitorMut for Clauses<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        const AGGREGATES: [&str; 7] =
            ["approx_distinct", "approx_percentile_cont", "array_agg", "avg", "bool_and", "count", "first_value"];
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        if !AGGREGATES.contains(&function.name.to_string().as_str()) {
            return ControlFlow::Continue(());
        }
        function.over = self.0.over.clone();
        function.filter = match (function.filter.take(), self.0.filter.clone()) {
            (Some(own), Some(asked)) => {
                Some(Box::new(binary(Expr::Nested(own), BinaryOperator::And, Expr::Nested(asked))))
            }
            (own, asked) => own.or(asked),
        };
        ControlFlow::Continue(())
    }
}

fn extract(field: &DateTimeField, expr: &Expr) -> Result<Option<Expr>> {
    let name = field.to_string().to_lowercase();
    let name = if name == "day_of_month" { "day" } else { name.as_str() };
    match templates::find(name, 1) {
        Some(text) => template(text, &[expr.clone()]),
        None => Ok(None),
    }
}

/// The same moment, told in another zone. A timestamp without a zone is in UTC.
fn at_timezone(timestamp: &Expr, zone: &Expr) -> Result<Option<Expr>> {
    let Expr::Value(value) = zone else {
        return Err(Error::new(MEANING, "a time zone must be written out").with_help("'Europe/Berlin'"));
    };
    let Value::SingleQuotedString(zone) = &value.value else {
        return Err(Error::new(MEANING, format!("{value} is no time zone")).with_help("'Europe/Berlin'"));
    };
    let text = format!(
        "arrow_cast(arrow_cast($1, 'Timestamp(ms, \"+00:00\")'), 'Timestamp(ms, \"{}\")')",
        zone.replace(['\'', '"'], "")
    );
    template(&text, &[timestamp.clone()])
}

/// `CAST(ROW(1, 'a') AS ROW(x bigint, y varchar))` names the row's fields; JSON is read into nested types.
fn cast(kind: &CastKind, expr: &Expr, data_type: &DataType) -> Result<Option<Expr>> {
    let function = match expr {
        Expr::Function(function) => name_and_arguments(function),
        _ => None,
    };
    match (function, data_type) {
        (Some((name, values)), DataType::Struct(fields, _)) if name == "struct" && values.len() == fields.len() => {
            let mut parts = Vec::new();
            for (value, field) in values.into_iter().zip(fields) {
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

fn cast_to(kind: &CastKind, expr: Expr, data_type: &DataType) -> Expr {
    Expr::Cast { kind: kind.clone(), expr: Box::new(expr), data_type: data_type.clone(), array: false, format: None }
}

/// `TIMESTAMP '2026-11-22 12:00:00.123456 UTC'`: the text tells precision and zone.
fn timestamp(typed: &mut TypedString) {
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

/// `expr` with NULL in place of what can fail in it: a cast, a division by zero.
fn without_errors(mut expr: Expr) -> Expr {
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

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// A call with lambdas, with their bodies as text.
fn lambda_call(function: &Function) -> Result<Option<Expr>> {
    let Some((name, arguments)) = name_and_arguments(function) else { return Ok(None) };
    let has_lambda = arguments.iter().any(|argument| matches!(argument, Expr::Lambda(_)));
    if !has_lambda {
        return Ok(None);
    }
    if !KINDS.iter().any(|(known, _)| *known == name) {
        return Err(
            Error::new(MEANING, format!("{name} takes no lambda")).with_help(KINDS.map(|(name, _)| name).join(", "))
        );
    }
    let mut plain = Vec::new();
    let mut outside = Vec::new();
    for argument in arguments {
        match argument {
            Expr::Lambda(lambda) => plain.extend(as_texts(lambda, &mut outside)?),
            other => plain.push(other),
        }
    }
    let expected = if name == "reduce" { 7 } else { 3 };
    if plain.len() != expected {
        let help =
            if name == "reduce" { "reduce(array, 0, (s, x) -> s + x, s -> s)" } else { "filter(array, x -> x > 0)" };
        return Err(Error::new(MEANING, format!("{name} takes other arguments")).with_help(help));
    }
    plain.extend(outside);
    let call = template(&format!("\"{}\"({})", planned_name(&name), numbered(plain.len())), &plain)?;
    Ok(call)
}

/// A lambda's body and the names of its parameters. What it uses from outside is added to `outside`.
fn as_texts(lambda: LambdaFunction, outside: &mut Vec<Expr>) -> Result<Vec<Expr>> {
    let parameters = match lambda.params {
        OneOrManyWithParens::One(name) => vec![name],
        OneOrManyWithParens::Many(names) => names,
    };
    let parameters: Vec<String> = parameters.into_iter().map(|name| name.value.to_lowercase()).collect();
    let mut body = *lambda.body;
    // Inner lambdas and functions first, so that the body is planned as it stands.
    if let ControlFlow::Break(error) = VisitMut::visit(&mut body, &mut Calls) {
        return Err(error);
    }
    let _ = VisitMut::visit(&mut body, &mut Captures { parameters: &parameters, outside });
    let text = |text: String| Expr::Value(Value::SingleQuotedString(text).into());
    Ok(std::iter::once(body.to_string()).chain(parameters).map(text).collect())
}

/// Puts `c0`, `c1`, … in place of columns.
struct Captures<'a> {
    parameters: &'a [String],
    outside: &'a mut Vec<Expr>,
}

impl VisitorMut for Captures<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // In `x.price` and `x[1]` the root stands first.
        let root = match &*expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => match names.first() {
                Some(name) => name,
                None => return ControlFlow::Continue(()),
            },
            Expr::CompoundFieldAccess { root, access_chain } => match root.as_ref() {
                Expr::Identifier(name) if access_chain.iter().any(|access| matches!(access, AccessExpr::Dot(_))) => {
                    name
                }
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if self.parameters.contains(&root.value.to_lowercase()) {
            return ControlFlow::Continue(());
        }
        let is_captured = |outside: &Expr| outside == expr;
        let index = self.outside.iter().position(is_captured).unwrap_or_else(|| {
            self.outside.push(expr.clone());
            self.outside.len() - 1
        });
        *expr = Expr::Identifier(Ident::new(format!("c{index}")));
        ControlFlow::Continue(())
    }
}
