//! `json_get(x, 'name', 'other')`: a member of a map or list that is JSON text, as text. Null where there is none.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use serde_json::value::RawValue;
use std::collections::HashMap;

use crate::sql::functions::text::{has_text, strings};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonGet {
    signature: Signature,
}

impl JsonGet {
    pub fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonGet {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "json_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [document, _, ..] if has_text(document) => Ok(DataType::Utf8),
            _ => plan_err!("json_get takes JSON text and the way to a member: json_get(x, 'name', 0)"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let documents = strings(&arguments.args[0], arguments.number_rows)?;
        let path = arguments.args[1..].iter().map(step).collect::<Result<Vec<String>>>()?;
        let found = documents.as_string::<i32>().iter().map(|document| get(document?, &path));
        Ok(ColumnarValue::Array(Arc::new(found.collect::<StringArray>())))
    }
}

fn step(argument: &ColumnarValue) -> Result<String> {
    match argument {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name))) => Ok(name.clone()),
        ColumnarValue::Scalar(ScalarValue::Int64(Some(index))) => Ok(index.to_string()),
        _ => exec_err!("json_get takes names and indexes that are written out"),
    }
}

/// Numbers stay as they are written, with all their digits.
fn get(document: &str, path: &[String]) -> Option<String> {
    let mut json = document;
    for step in path {
        let inner: &RawValue = match json.trim_start().as_bytes().first()? {
            b'{' => serde_json::from_str::<HashMap<std::borrow::Cow<'_, str>, &RawValue>>(json)
                .ok()?
                .remove(step.as_str())?,
            b'[' => serde_json::from_str::<Vec<&RawValue>>(json).ok()?.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
        json = inner.get();
    }
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'n' => None,
        _ => Some(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_json_text_are_found_with_every_digit() {
        let document = r#"{"a":{"b":[1.50,"x\"y",null,12345678901234567890123456789]},"A":true}"#;
        let check = |path: &[&str], expected: Option<&str>| {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            assert_eq!(get(document, &path).as_deref(), expected, "{path:?}");
        };
        check(&["a", "b", "0"], Some("1.50"));
        check(&["a", "b", "1"], Some("x\"y"));
        check(&["a", "b", "2"], None);
        check(&["a", "b", "3"], Some("12345678901234567890123456789"));
        check(&["A"], Some("true"));
        check(&["a", "c"], None);
        check(&["a", "b", "9"], None);
        assert_eq!(get("no JSON", &["a".to_owned()]), None);
    }
}
