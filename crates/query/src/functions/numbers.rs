//! Division of decimals as Athena does it, rounded to the larger scale of the two.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion::common::{exec_datafusion_err, exec_err, plan_err};
use datafusion::error::Result;

use crate::functions::scalar::{Scalar, count};

pub(super) fn all() -> Vec<Scalar> {
    vec![decimal_divide()]
}

pub(crate) fn decimal_divide() -> Scalar {
    Scalar::new("decimal_divide", takes, gives, divide)
}

fn takes(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<2>(types)?;
    let as_decimal = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::UInt8 => DataType::Decimal128(3, 0),
        DataType::Int16 | DataType::UInt16 => DataType::Decimal128(5, 0),
        DataType::Int32 | DataType::UInt32 => DataType::Decimal128(10, 0),
        DataType::Int64 | DataType::UInt64 => DataType::Decimal128(19, 0),
        other => other.clone(),
    };
    Ok(types.iter().map(as_decimal).collect())
}

fn gives(types: &[DataType]) -> Result<DataType> {
    let (DataType::Decimal128(p1, s1), DataType::Decimal128(_, s2)) = (&types[0], &types[1]) else {
        return plan_err!("{} and {} are not decimals", types[0], types[1]);
    };
    let precision = i16::from(*p1) + i16::from(*s2) + i16::from((s2 - s1).max(0));
    let precision = precision.min(DECIMAL128_MAX_PRECISION.into()) as u8;
    Ok(DataType::Decimal128(precision, *s1.max(s2)))
}

fn divide(arrays: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
    let (left, right) = (arrays[0].as_primitive::<Decimal128Type>(), arrays[1].as_primitive::<Decimal128Type>());
    let DataType::Decimal128(precision, scale) = to else { return plan_err!("{to} is no decimal") };
    // l/10^s1 ÷ r/10^s2, in units of 10^-scale.
    let shift = i256::from_i128(10).wrapping_pow((scale + right.scale() - left.scale()) as u32);
    let quotient = |(left, right): (Option<i128>, Option<i128>)| {
        let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
        if right == 0 {
            return exec_err!("division by zero");
        }
        let out_of_range = || exec_datafusion_err!("the quotient is out of range");
        let dividend = i256::from_i128(left).checked_mul(shift).ok_or_else(out_of_range)?;
        let divisor = i256::from_i128(right);
        let (quotient, rest) = (dividend.wrapping_div(divisor), dividend.wrapping_rem(divisor));
        let is_half = rest.wrapping_abs().wrapping_add(rest.wrapping_abs()) >= divisor.wrapping_abs();
        let away = if (left < 0) == (right < 0) { i256::ONE } else { i256::MINUS_ONE };
        let rounded = if is_half { quotient.wrapping_add(away) } else { quotient };
        let value = rounded.to_i128().ok_or_else(out_of_range)?;
        Decimal128Type::validate_decimal_precision(value, *precision, *scale)?;
        Ok(Some(value))
    };
    let quotients = left.iter().zip(right.iter()).map(quotient).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(*precision, *scale)?))
}
