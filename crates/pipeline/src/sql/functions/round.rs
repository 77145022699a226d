//! `round(x)` and `round(x, n)`: to `n` digits behind the point, halves away from zero. Decimals stay exact.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::compute::{cast, try_unary};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::sql::functions::text::literal_integer;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    signature: Signature,
}

impl Round {
    pub fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Round {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        super::ROUND
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of round depends on its second argument")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let digits_are_written_out =
            arguments.scalar_arguments.get(1).is_none_or(|digits| digits.is_some_and(|digits| !digits.is_null()));
        let data_type = match arguments.arg_fields {
            [number] | [number, _] if digits_are_written_out => rounded_type(number.data_type()),
            _ => None,
        };
        match data_type {
            Some(data_type) => Ok(Arc::new(Field::new(self.name(), data_type, true))),
            None => plan_err!("round takes a number, and how many digits to keep, written out: round(x, 2)"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let numbers = arguments.args[0].to_array(arguments.number_rows)?;
        let digits = match arguments.args.get(1) {
            Some(digits) => literal_integer(digits)?.unwrap_or_default(),
            None => 0,
        };
        Ok(ColumnarValue::Array(match numbers.data_type() {
            DataType::Decimal128(_, scale) => round_decimals(&numbers, i64::from(*scale) - digits)?,
            DataType::Float64 => {
                let factor = 10_f64.powi(digits.clamp(-300, 300) as i32);
                let rounded: Float64Array =
                    numbers.as_primitive::<Float64Type>().unary(|number| (number * factor).round() / factor);
                Arc::new(rounded)
            }
            _ if digits >= 0 => cast(&numbers, &DataType::Int64)?,
            _ => {
                let decimals = cast(&numbers, &DataType::Decimal128(19, 0))?;
                cast(&round_decimals(&decimals, -digits)?, &DataType::Int64)?
            }
        }))
    }
}

fn rounded_type(of: &DataType) -> Option<DataType> {
    match of {
        // 9.9 becomes 10.
        DataType::Decimal128(precision, scale) => {
            Some(DataType::Decimal128((precision + 1).min(DECIMAL128_MAX_PRECISION), *scale))
        }
        DataType::Int32 | DataType::Int64 => Some(DataType::Int64),
        DataType::Float64 => Some(DataType::Float64),
        _ => None,
    }
}

/// Rounds away as many of the last digits.
fn round_decimals(numbers: &ArrayRef, digits_away: i64) -> Result<ArrayRef> {
    let data_type = rounded_type(numbers.data_type()).unwrap_or(DataType::Null);
    let too_large = || ArrowError::ArithmeticOverflow("a rounded number".into());
    let unit = u32::try_from(digits_away.max(0)).ok().and_then(|digits| 10_i128.checked_pow(digits));
    let rounded: Decimal128Array = try_unary(numbers.as_primitive::<Decimal128Type>(), |number| {
        // So many digits are more than a number has.
        let Some(unit) = unit else { return Ok(0) };
        let half = unit / 2 * number.signum();
        Ok(number.checked_add(half).ok_or_else(too_large)? / unit * unit)
    })?;
    let DataType::Decimal128(precision, scale) = data_type else { return internal_err!("{data_type} is no decimal") };
    let rounded = rounded.with_precision_and_scale(precision, scale)?;
    rounded.validate_decimal_precision(precision)?;
    Ok(Arc::new(rounded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_exactly_with_halves_away_from_zero() {
        let check = |number: i128, digits_away: i64, expected: i128| {
            let numbers = Decimal128Array::from(vec![number]).with_precision_and_scale(38, 2).unwrap();
            let rounded = round_decimals(&(Arc::new(numbers) as ArrayRef), digits_away).unwrap();
            assert_eq!(rounded.as_primitive::<Decimal128Type>().value(0), expected, "{number} by {digits_away}");
        };
        check(12_345, 1, 12_350);
        check(-12_345, 1, -12_350);
        check(12_344, 1, 12_340);
        check(999, 2, 1_000);
        check(149, 2, 100);
        check(12_345, 0, 12_345);
        check(12_345, -3, 12_345);
        check(12_345, 5, 0);
        check(12_345, 60, 0);
        check(
            12_345_678_901_234_567_890_123_456_789_012_345_655,
            1,
            12_345_678_901_234_567_890_123_456_789_012_345_660,
        );
        let largest = Decimal128Array::from(vec![10_i128.pow(38) - 1]).with_precision_and_scale(38, 2).unwrap();
        assert!(round_decimals(&(Arc::new(largest) as ArrayRef), 1).is_err());
    }
}
