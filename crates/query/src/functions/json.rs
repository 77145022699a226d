//! JSON in text columns. Values keep their spelling: `1.10` stays `1.10`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::json::ReaderBuilder;
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::Result;
use serde_json::value::RawValue;

use crate::functions::scalar::{Scalar, bigint, boolean, count, text, texts};

pub(super) fn all() -> Vec<Scalar> {
    vec![
        Scalar::new("json_extract", texts::<2>, text, |arrays, _| {
            texts_of(arrays, |json, path| Ok(walk(json, path)?.map(|found| found.get().to_owned())))
        }),
        Scalar::new("json_extract_scalar", texts::<2>, text, |arrays, _| {
            texts_of(arrays, |json, path| Ok(walk(json, path)?.and_then(scalar)))
        }),
        Scalar::new("json_parse", texts::<1>, text, json_parse),
        Scalar::new("json_format", texts::<1>, text, |arrays, _| Ok(arrays[0].clone())),
        Scalar::new("json_array_length", texts::<1>, bigint, |arrays, _| {
            let lengths = arrays[0].as_string::<i32>().iter().map(|json| Some(elements(json?)?.len() as i64));
            Ok(Arc::new(lengths.collect::<Int64Array>()))
        }),
        Scalar::new("json_size", texts::<2>, bigint, |arrays, _| {
            let both = arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>().iter());
            let size = |(json, path): (Option<&str>, Option<&str>)| {
                let (Some(json), Some(path)) = (json, path) else { return Ok(None) };
                Ok(walk(json, path)?.map(size))
            };
            Ok(Arc::new(both.map(size).collect::<Result<Int64Array>>()?))
        }),
        Scalar::new(
            "json_array_get",
            |types| count::<2>(types).map(|()| vec![DataType::Utf8, DataType::Int64]),
            text,
            json_array_get,
        ),
        Scalar::new("json_array_contains", texts::<2>, boolean, |arrays, _| {
            let both = arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>().iter());
            let found = both.map(|(json, wanted)| {
                let (elements, wanted) = (elements(json?)?, wanted?);
                Some(
                    elements
                        .iter()
                        .any(|element| element.get() == wanted || scalar(element).as_deref() == Some(wanted)),
                )
            });
            Ok(Arc::new(found.collect::<BooleanArray>()))
        }),
        Scalar::new("is_json_scalar", texts::<1>, boolean, |arrays, _| {
            let is_scalar = |json: &str| !json.trim_start().starts_with(['{', '[']);
            Ok(Arc::new(
                arrays[0].as_string::<i32>().iter().map(|json| Some(is_scalar(json?))).collect::<BooleanArray>(),
            ))
        }),
    ]
}

/// JSON text as values of `to`. Text that does not fit is an error.
pub(super) fn read_as(json: &StringArray, to: &DataType) -> Result<ArrayRef> {
    let field = arrow::datatypes::Field::new("value", to.clone(), true);
    let rows = json.iter().map(|json| format!("{{\"value\":{}}}\n", json.unwrap_or("null")));
    let lines: String = rows.collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![field]));
    let builder = ReaderBuilder::new(schema).with_batch_size(json.len().max(1)).with_coerce_primitive(true);
    let mut decoder = builder.build_decoder()?;
    let cannot = |error| exec_datafusion_err!("the JSON is not of the type it is cast to: {error}");
    decoder.decode(lines.as_bytes()).map_err(cannot)?;
    match decoder.flush().map_err(cannot)? {
        Some(batch) => Ok(batch.column(0).clone()),
        None => Ok(arrow::array::new_empty_array(to)),
    }
}

fn texts_of(arrays: &[ArrayRef], of: fn(&str, &str) -> Result<Option<String>>) -> Result<ArrayRef> {
    let both = arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>().iter());
    let texts = both.map(|(json, path)| match (json, path) {
        (Some(json), Some(path)) => of(json, path),
        _ => Ok(None),
    });
    Ok(Arc::new(texts.collect::<Result<StringArray>>()?))
}

fn json_parse(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let parsed = arrays[0].as_string::<i32>().iter().map(|json| {
        let Some(json) = json else { return Ok(None) };
        match serde_json::from_str::<&RawValue>(json) {
            Ok(value) => Ok(Some(without_spaces(value.get()))),
            Err(_) => exec_err!("this is not JSON: {json}"),
        }
    });
    Ok(Arc::new(parsed.collect::<Result<StringArray>>()?))
}

fn without_spaces(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keep = |character: &char| {
        let is_kept = is_text || !character.is_ascii_whitespace();
        is_text ^= *character == '"' && !is_escaped;
        is_escaped = is_text && *character == '\\' && !is_escaped;
        is_kept
    };
    json.chars().filter(keep).collect()
}

fn json_array_get(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let both = arrays[0].as_string::<i32>().iter().zip(arrays[1].as_primitive::<Int64Type>().iter());
    let found = both.map(|(json, index)| {
        let (elements, index) = (elements(json?)?, index?);
        let from_start = if index < 0 { index + elements.len() as i64 } else { index };
        Some(elements.get(usize::try_from(from_start).ok()?)?.get().to_owned())
    });
    Ok(Arc::new(found.collect::<StringArray>()))
}

/// What `path` leads to in `json`: `$.items[0].price`, `$['a key']`. Nothing where there is nothing, or no JSON.
fn walk<'a>(json: &'a str, path: &str) -> Result<Option<&'a RawValue>> {
    let steps = steps(path)?;
    let Ok(mut value) = serde_json::from_str::<&RawValue>(json) else { return Ok(None) };
    for step in steps {
        let next = match &step {
            Step::Key(key) => fields(value.get()).and_then(|mut fields| fields.remove(key.as_str())),
            Step::Index(index) => elements(value.get()).and_then(|elements| elements.get(*index).copied()),
        };
        let Some(next) = next else { return Ok(None) };
        value = next;
    }
    Ok(Some(value))
}

enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &str) -> Result<Vec<Step>> {
    let wrong = || exec_datafusion_err!("'{path}' is no JSON path that is understood: $.key, $['key'] and $[0] are");
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let key = after[..end].trim_matches('"');
            if key.is_empty() || key == "*" {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = &after[end..];
        } else {
            let (inside, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
            let key = ['"', '\''].iter().find_map(|quote| inside.strip_prefix(*quote)?.strip_suffix(*quote));
            steps.push(match key {
                Some(key) => Step::Key(key.to_owned()),
                None => Step::Index(inside.parse().map_err(|_| wrong())?),
            });
            rest = after;
        }
    }
    Ok(steps)
}

fn fields(json: &str) -> Option<HashMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_str(json).ok()
}

fn elements(json: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json).ok()
}

/// A string without its quotes, a number, or a boolean.
fn scalar(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.get().to_owned()),
    }
}

fn size(value: &RawValue) -> i64 {
    let parts = elements(value.get()).map(|elements| elements.len());
    parts.or_else(|| fields(value.get()).map(|fields| fields.len())).unwrap_or(0) as i64
}
