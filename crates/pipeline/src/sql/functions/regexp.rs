//! `regexp_like`, `regexp_extract` and `regexp_replace`, by a regular expression that is written out.
//!
//! They take time that grows with the text, whatever the expression: there is no backtracking.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use crate::sql::functions::text::{has_text, strings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Whether there is a match.
    Like,
    /// The first match, or a group of it; null where there is none.
    Extract,
    /// Every match in exchange for a text, in which `$1` is a group.
    Replace,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Regexp {
    kind: Kind,
    signature: Signature,
}

impl Regexp {
    pub fn all() -> [Self; 3] {
        let signature = || Signature::variadic_any(Volatility::Immutable);
        [Kind::Like, Kind::Extract, Kind::Replace].map(|kind| Self { kind, signature: signature() })
    }

    /// What the arguments after the text say.
    fn read(&self, written: &[Option<&ScalarValue>]) -> std::result::Result<(Regex, Third), String> {
        let usage = || {
            let example = match self.kind {
                Kind::Like => "regexp_like(x, '^[A-Z]')",
                Kind::Extract => "regexp_extract(x, '([0-9]+)-', 1)",
                Kind::Replace => "regexp_replace(x, '[0-9]', '#')",
            };
            format!("{} takes a text and a regular expression that is written out: {example}", self.name())
        };
        let text = |value: &Option<&ScalarValue>| match value {
            Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => Some(text.clone()),
            _ => None,
        };
        let pattern = written.first().and_then(text).ok_or_else(usage)?;
        let regex = Regex::new(&pattern).map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("'{pattern}' is no regular expression: {why}")
        })?;
        let third = match (self.kind, &written[1..]) {
            (Kind::Like, []) => Third::Group(0),
            (Kind::Extract, []) => Third::Group(0),
            (Kind::Extract, [Some(ScalarValue::Int64(Some(group)))]) => match usize::try_from(*group) {
                Ok(group) if group < regex.captures_len() => Third::Group(group),
                _ => return Err(format!("'{pattern}' has no group {group}")),
            },
            (Kind::Replace, []) => Third::Replacement(String::new()),
            (Kind::Replace, [replacement]) => Third::Replacement(text(replacement).ok_or_else(usage)?),
            _ => return Err(usage()),
        };
        Ok((regex, third))
    }
}

/// The last argument.
enum Third {
    Group(usize),
    Replacement(String),
}

impl ScalarUDFImpl for Regexp {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        match self.kind {
            Kind::Like => "regexp_like",
            Kind::Extract => "regexp_extract",
            Kind::Replace => "regexp_replace",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("a regular expression is read before there is a type")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let is_of_text = arguments.arg_fields.first().is_some_and(|text| has_text(text.data_type()));
        if let Err(why) = self.read(arguments.scalar_arguments.get(1..).unwrap_or_default()) {
            return plan_err!("{why}");
        }
        if !is_of_text {
            return plan_err!("{} takes a value that has a text", self.name());
        }
        let data_type = if self.kind == Kind::Like { DataType::Boolean } else { DataType::Utf8 };
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |argument: &'_ ColumnarValue| match argument {
            ColumnarValue::Scalar(value) => Some(value.clone()),
            ColumnarValue::Array(_) => None,
        };
        let written: Vec<Option<ScalarValue>> = arguments.args[1..].iter().map(scalar).collect();
        let written: Vec<Option<&ScalarValue>> = written.iter().map(Option::as_ref).collect();
        let (regex, third) = match self.read(&written) {
            Ok(read) => read,
            Err(why) => return exec_err!("{why}"),
        };
        let texts = strings(&arguments.args[0], arguments.number_rows)?;
        let texts = texts.as_string::<i32>().iter();
        Ok(ColumnarValue::Array(match (self.kind, third) {
            (Kind::Like, _) => Arc::new(texts.map(|text| Some(regex.is_match(text?))).collect::<BooleanArray>()),
            (_, Third::Group(group)) => {
                let found = texts.map(|text| Some(regex.captures(text?)?.get(group)?.as_str()));
                Arc::new(found.collect::<StringArray>())
            }
            (_, Third::Replacement(with)) => {
                let replaced = texts.map(|text| Some(regex.replace_all(text?, with.as_str())));
                Arc::new(replaced.collect::<StringArray>())
            }
        }))
    }
}
