//! `sha256(x)`: the hash of a value's text. No protection: who knows what a value looks like can try all of them.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use sha2::{Digest, Sha256};

use crate::sql::functions::text::{has_text, map_strings, push_hex, strings};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sha256Hex {
    signature: Signature,
}

impl Sha256Hex {
    pub fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Sha256Hex {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "sha256"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [argument] if has_text(argument) => Ok(DataType::Utf8),
            _ => plan_err!("sha256 takes one value that has a text"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = strings(&arguments.args[0], arguments.number_rows)?;
        let hashes = map_strings(&values, |value, hash| push_hex(&Sha256::digest(value.as_bytes()), hash));
        Ok(ColumnarValue::Array(Arc::new(hashes)))
    }
}
