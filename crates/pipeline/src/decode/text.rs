//! Values as the text of a string column, in tables that are ours to shape. Equal values have equal text.

use std::io::Write;

use crate::decode::misfit::Misfit;
use crate::decode::nested::check_depth;
use crate::decode::number::Number;
use crate::decode::scalar;
use crate::decode::set::sorted_set;
use crate::decode::tape::Elements;
use crate::decode::value::Value;

/// Appends a value's text: strings as they are, numbers in plain digits, binary as base64, and maps, lists and sets as
/// JSON with exact numbers and members in the order of their names.
pub(crate) fn write(value: &Value<'_>, depth: usize, text: &mut Vec<u8>) -> Result<(), Misfit> {
    match value {
        Value::S(string) => text.extend_from_slice(string.as_bytes()),
        Value::B(base64) => {
            check_base64(base64)?;
            text.extend_from_slice(base64.as_bytes());
        }
        other => write_json(other, depth, text)?,
    }
    Ok(())
}

fn write_json(value: &Value<'_>, depth: usize, text: &mut Vec<u8>) -> Result<(), Misfit> {
    match value {
        Value::S(string) => write_string(string, text),
        Value::N(number) => Number::parse(number)?.write_text(text),
        Value::B(base64) => {
            check_base64(base64)?;
            write_string(base64, text);
        }
        Value::Bool(value) => text.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Null => text.extend_from_slice(b"null"),
        Value::M(members) => {
            check_depth(depth + 1)?;
            let mut members: Vec<_> = members.clone().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push(b'{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_string(name, text);
                text.push(b':');
                write_json(&Value::read(value)?, depth + 1, text)?;
            }
            text.push(b'}');
        }
        Value::L(elements) => {
            check_depth(depth + 1)?;
            write_array(elements.clone(), depth + 1, text)?;
        }
        Value::Set(of, elements) => {
            write_values(sorted_set(*of, elements.clone())?.into_iter().map(Ok), depth, text)?;
        }
    }
    Ok(())
}

fn write_array(elements: Elements<'_>, depth: usize, text: &mut Vec<u8>) -> Result<(), Misfit> {
    write_values(elements.map(Value::read), depth, text)
}

fn write_values<'t>(
    values: impl Iterator<Item = Result<Value<'t>, Misfit>>,
    depth: usize,
    text: &mut Vec<u8>,
) -> Result<(), Misfit> {
    text.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_json(&value?, depth, text)?;
    }
    text.push(b']');
    Ok(())
}

fn write_string(string: &str, text: &mut Vec<u8>) {
    serde_json::to_writer(text.by_ref(), string).expect("writing to memory does not fail");
}

fn check_base64(base64: &str) -> Result<(), Misfit> {
    scalar::base64(base64, &mut Vec::new())
}
