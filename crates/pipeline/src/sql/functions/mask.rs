//! `mask(x, n)`: the last n characters, and a star for each one before them. Where there are no more than n, all are stars.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::sql::functions::text::{has_text, literal_integer, map_strings, strings};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mask {
    signature: Signature,
}

impl Mask {
    pub fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Mask {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        super::MASK
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value, kept] if has_text(value) && kept.is_integer() => Ok(DataType::Utf8),
            _ => plan_err!("mask takes a value that has a text, and how many of its last characters to keep"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(kept) = literal_integer(&arguments.args[1])?.and_then(|kept| usize::try_from(kept).ok()) else {
            return exec_err!("mask keeps a number of characters that is written out and not negative");
        };
        let values = strings(&arguments.args[0], arguments.number_rows)?;
        Ok(ColumnarValue::Array(Arc::new(map_strings(&values, |value, masked| mask(value, kept, masked)))))
    }
}

fn mask(value: &str, kept: usize, masked: &mut String) {
    let length = value.chars().count();
    let hidden = if length > kept { length - kept } else { length };
    masked.extend(std::iter::repeat_n('*', hidden));
    masked.extend(value.chars().skip(hidden));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_last_characters_of_longer_values_only() {
        let check = |value: &str, kept: usize, expected: &str| {
            let mut masked = String::new();
            mask(value, kept, &mut masked);
            assert_eq!(masked, expected);
        };
        check("4111111111111111", 4, "************1111");
        check("12345", 4, "*2345");
        check("1234", 4, "****");
        check("äöü", 1, "**ü");
        check("", 4, "");
        check("abc", 0, "***");
    }
}
