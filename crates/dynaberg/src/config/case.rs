//! `[[test]]`: an item, and what the transform has to make of it.

use std::ops::Range;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use toml::{Spanned, Value};

use super::place::Misfit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSection {
    name: Option<String>,
    given: toml::Table,
    expect: Spanned<Value>,
}

/// One test of the transform.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// DynamoDB JSON.
    pub given: Json,
    pub expect: Expect,
    /// Where the expectation stands.
    pub span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// Some of the columns.
    Row(toml::Table),
    Filtered,
    /// The code of the letter.
    Rejected(String),
}

impl CaseSection {
    pub fn into_case(self, number: usize) -> Result<Case, Misfit> {
        let span = self.expect.span();
        let expect = match self.expect.into_inner() {
            Value::Table(row) => Expect::Row(row),
            Value::String(text) if text == "filtered" => Expect::Filtered,
            Value::String(text) if text.starts_with("DYN") => Expect::Rejected(text),
            _ => {
                let advice = "expect = { column = \"value\" }, expect = \"filtered\" or expect = \"DYN412\"";
                return Err(Misfit::value(
                    span,
                    "an item becomes a row, is filtered, or is rejected by a code",
                    advice,
                ));
            }
        };
        let given: Map<String, Json> = self.given.iter().map(|(name, value)| (name.clone(), typed(value))).collect();
        Ok(Case { name: self.name.unwrap_or_else(|| format!("test {number}")), given: given.into(), expect, span })
    }
}

/// A value of the file as an attribute value. `{ N = "12.30" }` is one already.
fn typed(value: &Value) -> Json {
    const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
    match value {
        Value::String(text) => json!({ "S": text }),
        Value::Integer(number) => json!({ "N": number.to_string() }),
        Value::Float(number) => json!({ "N": number.to_string() }),
        Value::Boolean(value) => json!({ "BOOL": value }),
        Value::Datetime(moment) => json!({ "S": moment.to_string() }),
        Value::Array(elements) => json!({ "L": elements.iter().map(typed).collect::<Vec<_>>() }),
        Value::Table(members) => match members.iter().next() {
            Some((name, value)) if members.len() == 1 && TYPES.contains(&name.as_str()) => {
                json!({ name: plain(value) })
            }
            _ => {
                let members = members.iter().map(|(name, value)| (name.clone(), typed(value)));
                json!({ "M": members.collect::<Map<_, _>>() })
            }
        },
    }
}

/// What stands behind a written type: DynamoDB JSON in TOML's words.
fn plain(value: &Value) -> Json {
    match value {
        Value::Boolean(value) => json!(value),
        Value::Array(elements) => elements.iter().map(plain).collect(),
        Value::Table(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}
