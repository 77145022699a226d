//! Turns DataFusion's errors into ours: what is wrong, where, and what to try.

use arrow::datatypes::DataType;
use arrow::datatypes::SchemaRef;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::common::{Column, SchemaError, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::error::{
    AMBIGUOUS, EXECUTION, Error, MEANING, NO_SUCH_COLUMN, NO_SUCH_FUNCTION, OUT_OF_MEMORY, Place, SYNTAX,
};

/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS_MIN: f64 = 0.5;

/// A table of the query: its full name and columns.
pub(crate) struct Known {
    pub name: String,
    pub schema: SchemaRef,
}

/// The parser's error about `sql`. It carries its place in words.
pub(crate) fn of_syntax(error: DataFusionError, sql: &str) -> Error {
    let error = match error {
        DataFusionError::External(cause) => match cause.downcast::<Error>() {
            Ok(own) => return *own,
            Err(cause) => DataFusionError::External(cause),
        },
        other => other,
    };
    let DataFusionError::SQL(parser_error, _) = error.find_root() else {
        return Error::new(SYNTAX, text(&error)).with_source(error);
    };
    let message = match parser_error.as_ref() {
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => "the query is nested too deeply",
    };
    let (what, place) = match message.split_once(" at Line: ") {
        Some((what, place)) => (what, place_in_words(place)),
        None if message.ends_with("found: EOF") => (message, Some(end_of(sql))),
        None => (message, None),
    };
    Error::new(SYNTAX, lower_first(what)).at(place)
}

/// Reads `3, Column: 14`.
fn place_in_words(words: &str) -> Option<Place> {
    let (line, column) = words.split_once(", Column: ")?;
    let (line, column) = (line.parse().ok()?, column.trim().parse().ok()?);
    Some(Place { line, column, end_line: line, end_column: column + 1 })
}

/// Just behind the last character.
fn end_of(sql: &str) -> Place {
    let line = sql.trim_end().lines().count().max(1) as u64;
    let column = sql.trim_end().lines().last().map_or(0, |last| last.chars().count()) as u64 + 1;
    Place { line, column, end_line: line, end_column: column + 1 }
}

/// An error in planning or running a query over `known` tables.
pub(crate) fn of(error: DataFusionError, known: &[Known]) -> Error {
    let place = error.diagnostic().and_then(|diagnostic| diagnostic.span).and_then(place);
    if let Some(cause) = lake_error(&error) {
        return Error::new(crate::error::UNREADABLE, cause).with_source(error);
    }
    match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => match schema_error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => no_such_column(field, valid_fields, place, known),
            SchemaError::AmbiguousReference { field } => {
                let message = format!("{} is a column of more than one table", field.name());
                let place = place.or_else(|| field.spans().first().and_then(self::place));
                Error::new(AMBIGUOUS, message).at(place).with_help(format!("<table>.{}", field.name()))
            }
            other => Error::new(MEANING, lower_first(&other.to_string())).at(place),
        },
        DataFusionError::Plan(message) if message.starts_with("Invalid function") => {
            let (what, guess) = message.split_once(".\nDid you mean ").unwrap_or((message, ""));
            let name = what.trim_start_matches("Invalid function").trim_matches([' ', '\'', '.']);
            let guess = guess.trim_matches(['\'', '?']);
            let error = Error::new(NO_SUCH_FUNCTION, format!("no function named {name}")).at(place);
            if guess.is_empty() { error } else { error.with_help(guess) }
        }
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(OUT_OF_MEMORY, "the query needs more memory than it may have")
                .with_help("a narrower WHERE, fewer columns, or a higher --memory")
                .with_source(error)
        }
        DataFusionError::Plan(_) | DataFusionError::NotImplemented(_) => Error::new(MEANING, text(&error)).at(place),
        _ => Error::new(EXECUTION, text(&error)).at(place).with_source(error),
    }
}

/// `error`, with the limit named where it is about memory.
pub(crate) fn within(error: Error, bytes_max: Option<usize>) -> Error {
    match bytes_max {
        Some(bytes_max) if error.code() == OUT_OF_MEMORY => {
            let limit = bytes_max as f64 / f64::from(1 << 20);
            error.with_message(format!("the query needs more memory than is left of the {limit:.1} MB of all queries"))
        }
        _ => error,
    }
}

/// What our own table said, where it is the cause.
fn lake_error(error: &DataFusionError) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(lake) = current.downcast_ref::<lake::Error>() {
            return Some(lake.to_string());
        }
        cause = current.source();
    }
    None
}

fn no_such_column(field: &Column, valid_fields: &[Column], place: Option<Place>, known: &[Known]) -> Error {
    let place = place.or_else(|| field.spans().first().and_then(self::place));
    let error = Error::new(NO_SUCH_COLUMN, format!("no field named {}", field.flat_name())).at(place);
    let name = field.name();
    let is_relation =
        |valid: &Column| valid.relation.as_ref().map(|of| of.table()) == field.relation.as_ref().map(|of| of.table());
    let names_a_table = field.relation.is_none() || valid_fields.iter().any(is_relation);

    if !names_a_table && let Some(holder) = known.iter().find(|table| table.schema.field_with_name(name).is_ok()) {
        let label = format!("{} has {name} at the top level", holder.name);
        return error.with_label(label).with_help(name).with_replacement(name);
    }
    if let Some((table, path)) = known.iter().find_map(|table| Some((table, inside_struct(table, name)?))) {
        let label = format!("{} has it as {path}", table.name);
        return error.with_label(label).with_help(path.as_str()).with_replacement(path);
    }
    let likeness = |valid: &&Column| normalized_levenshtein(valid.name(), name);
    let best = valid_fields.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|best| likeness(best) >= LIKENESS_MIN) {
        Some(best) => {
            let spelled = if field.relation.is_some() { best.flat_name() } else { best.name().to_owned() };
            error.with_label(format!("did you mean {spelled}?")).with_help(spelled.as_str()).with_replacement(spelled)
        }
        None => match known.first() {
            Some(table) => error.with_help(format!("DESCRIBE {}", table.name)),
            None => error,
        },
    }
}

/// `column.name`, where a struct column of the table has a field of that name.
fn inside_struct(table: &Known, name: &str) -> Option<String> {
    table.schema.fields().iter().find_map(|column| match column.data_type() {
        DataType::Struct(fields) if fields.iter().any(|field| field.name() == name) => {
            Some(format!("{}.{name}", column.name()))
        }
        _ => None,
    })
}

fn place(span: Span) -> Option<Place> {
    let place = Place {
        line: span.start.line,
        column: span.start.column,
        end_line: span.end.line,
        end_column: span.end.column,
    };
    (place.line > 0).then_some(place)
}

/// The innermost message, without DataFusion's names for its own stages.
fn text(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message) => message.clone(),
        DataFusionError::ArrowError(arrow, _) => arrow.to_string(),
        other => other.strip_backtrace(),
    };
    lower_first(said_by_function(&message).unwrap_or(&message))
}

fn lower_first(message: &str) -> String {
    let message = message.trim_end_matches('.');
    let mut characters = message.chars();
    match (characters.next(), characters.clone().next()) {
        // A word in capitals is a keyword.
        (Some(first), second) if second.is_none_or(|second| !second.is_uppercase()) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => message.to_owned(),
    }
}

/// What a function said of its arguments, out of what DataFusion says around it.
fn said_by_function(message: &str) -> Option<&str> {
    let (_, said) = message.split_once("user-defined coercion failed with \"Error during planning: ")?;
    said.split_once("\" No function matches").map(|(said, _)| said)
}
