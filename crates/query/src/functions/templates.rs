//! Calls of Athena's functions, spelled in DataFusion's.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use crate::dialect::Athena;
use crate::error::{Error, MEANING, Result};

/// A name, how many arguments, and what the call stands for.
pub(super) const TEMPLATES: &[(&str, usize, &str)] = &[
    // Conditions.
    ("if", 2, "CASE WHEN $1 THEN $2 END"),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    // Aggregates.
    ("any_value", 1, "first_value($1) FILTER (WHERE $1 IS NOT NULL)"),
    ("approx_distinct", 1, "CAST(approx_distinct($1) AS BIGINT)"),
    ("approx_distinct", 2, "CAST(approx_distinct($1) AS BIGINT)"),
    ("approx_percentile", 2, "approx_percentile_cont($2) WITHIN GROUP (ORDER BY $1)"),
    ("arbitrary", 1, "first_value($1) FILTER (WHERE $1 IS NOT NULL)"),
    ("count_if", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("every", 1, "bool_and($1)"),
    ("geometric_mean", 1, "exp(avg(ln($1)))"),
    ("map_agg", 2, "map(array_agg($1) FILTER (WHERE $1 IS NOT NULL), array_agg($2) FILTER (WHERE $1 IS NOT NULL))"),
    ("max_by", 2, "first_value($1 ORDER BY $2 DESC NULLS LAST) FILTER (WHERE $2 IS NOT NULL)"),
    ("min_by", 2, "first_value($1 ORDER BY $2 ASC NULLS LAST) FILTER (WHERE $2 IS NOT NULL)"),
    ("variance", 1, "var($1)"),
    ("set_agg", 1, "array_agg(DISTINCT $1)"),
    // Times. The parts of one are bigint.
    ("current_timezone", 0, "'UTC'"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("day", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("day_of_month", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("day_of_week", 1, "(CAST(date_part('isodow', $1) AS BIGINT) + 1)"),
    ("day_of_year", 1, "CAST(date_part('doy', $1) AS BIGINT)"),
    ("dow", 1, "(CAST(date_part('isodow', $1) AS BIGINT) + 1)"),
    ("doy", 1, "CAST(date_part('doy', $1) AS BIGINT)"),
    ("from_iso8601_date", 1, "CAST($1 AS DATE)"),
    ("from_iso8601_timestamp", 1, "CAST($1 AS TIMESTAMP(3) WITH TIME ZONE)"),
    ("from_unixtime", 1, "arrow_cast(CAST(round(CAST($1 AS DOUBLE) * 1000) AS BIGINT), 'Timestamp(ms, \"+00:00\")')"),
    ("hour", 1, "CAST(date_part('hour', $1) AS BIGINT)"),
    (
        "last_day_of_month",
        1,
        "CAST(date_trunc('month', CAST($1 AS DATE)) + INTERVAL '1' MONTH - INTERVAL '1' DAY AS DATE)",
    ),
    ("millisecond", 1, "(CAST(date_part('millisecond', $1) AS BIGINT) % 1000)"),
    ("minute", 1, "CAST(date_part('minute', $1) AS BIGINT)"),
    ("month", 1, "CAST(date_part('month', $1) AS BIGINT)"),
    ("quarter", 1, "CAST(date_part('quarter', $1) AS BIGINT)"),
    ("second", 1, "CAST(floor(date_part('second', $1)) AS BIGINT)"),
    ("to_unixtime", 1, "(CAST(CAST(arrow_cast($1, 'Timestamp(µs)') AS BIGINT) AS DOUBLE) / CAST(1000000 AS DOUBLE))"),
    ("week", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("week_of_year", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("year", 1, "CAST(date_part('year', $1) AS BIGINT)"),
    ("year_of_week", 1, "CAST(date_part('isoyear', $1) AS BIGINT)"),
    ("yow", 1, "CAST(date_part('isoyear', $1) AS BIGINT)"),
    // Text and bytes.
    ("codepoint", 1, "ascii($1)"),
    ("from_base64", 1, "decode($1, 'base64')"),
    ("from_hex", 1, "decode($1, 'hex')"),
    ("from_utf8", 1, "arrow_cast($1, 'Utf8View')"),
    ("levenshtein_distance", 2, "CAST(levenshtein($1, $2) AS BIGINT)"),
    ("length", 1, "CAST(character_length($1) AS BIGINT)"),
    ("position", 2, "CAST(strpos($2, $1) AS BIGINT)"),
    ("replace", 2, "replace($1, $2, '')"),
    ("split", 2, "string_to_array($1, $2)"),
    ("strpos", 2, "CAST(strpos($1, $2) AS BIGINT)"),
    ("to_base64", 1, "encode($1, 'base64pad')"),
    ("to_hex", 1, "upper(encode($1, 'hex'))"),
    ("to_utf8", 1, "arrow_cast($1, 'Binary')"),
    // Numbers.
    ("bitwise_and", 2, "($1 & $2)"),
    ("bitwise_or", 2, "($1 | $2)"),
    ("bitwise_xor", 2, "($1 ^ $2)"),
    ("ceiling", 1, "ceil($1)"),
    ("e", 0, "exp(CAST(1 AS DOUBLE))"),
    ("infinity", 0, "CAST('Infinity' AS DOUBLE)"),
    ("is_finite", 1, "NOT (isnan($1) OR abs($1) = CAST('Infinity' AS DOUBLE))"),
    ("is_infinite", 1, "(abs($1) = CAST('Infinity' AS DOUBLE))"),
    ("is_nan", 1, "isnan($1)"),
    ("mod", 2, "($1 % $2)"),
    ("nan", 0, "CAST('NaN' AS DOUBLE)"),
    ("sign", 1, "signum($1)"),
    ("truncate", 1, "trunc($1)"),
    // Arrays and maps.
    ("array_join", 2, "array_to_string($1, $2)"),
    ("array_join", 3, "array_to_string($1, $2, $3)"),
    ("arrays_overlap", 2, "array_has_any($1, $2)"),
    ("cardinality", 1, "CAST(coalesce(cardinality($1), CASE WHEN $1 IS NOT NULL THEN 0 END) AS BIGINT)"),
    ("contains", 2, "array_has($1, $2)"),
    ("repeat", 2, "array_repeat($1, $2)"),
    ("sequence", 2, "generate_series($1, $2)"),
    ("sequence", 3, "generate_series($1, $2, $3)"),
    ("slice", 3, "array_slice($1, $2, $2 + $3 - 1)"),
];

/// What [`TEMPLATES`] has under a name for that many arguments.
pub(super) fn find(name: &str, arguments: usize) -> Option<&'static str> {
    let found = TEMPLATES.iter().find(|(known, count, _)| *known == name && *count == arguments);
    found.map(|(_, _, template)| *template)
}

pub(super) fn numbered(count: usize) -> String {
    (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// `text` with `arguments` in place of `$1`, `$2`, …. It has no places of its own in the SQL text.
pub(super) fn template(text: &str, arguments: &[Expr]) -> Result<Option<Expr>> {
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
