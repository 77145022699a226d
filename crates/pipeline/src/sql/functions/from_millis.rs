//! `from_millis(n)`: milliseconds since the epoch as a timestamp in UTC.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options, try_unary};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct FromMillis {
    signature: Signature,
}

impl FromMillis {
    pub fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromMillis {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        super::FROM_MILLIS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Null | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..)] => {
                Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))
            }
            _ => plan_err!("from_millis takes a number: from_millis(cast(x AS bigint))"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = arguments.args[0].to_array(arguments.number_rows)?;
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let millis = cast_with_options(&array, &DataType::Int64, &exact)?;
        let times: TimestampMicrosecondArray =
            try_unary::<_, _, TimestampMicrosecondType>(millis.as_primitive::<Int64Type>(), |ms| {
                ms.mul_checked(1_000)
            })?;
        Ok(ColumnarValue::Array(Arc::new(times.with_timezone("+00:00"))))
    }
}
