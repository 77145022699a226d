//! The types that columns of a table have, from those that expressions have.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

/// The type of the column that holds values of `data_type`; `None` where a table has none.
pub(crate) fn column_type(data_type: &DataType) -> Option<DataType> {
    use DataType::{
        BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Dictionary, Float16, Float32, Float64,
        Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeUtf8, List, Map, Struct, Timestamp, UInt8, UInt16,
        UInt32, UInt64, Utf8, Utf8View,
    };
    Some(match data_type {
        Boolean | Int32 | Int64 | Float32 | Float64 | Date32 | Utf8 | LargeBinary | Map(..) => data_type.clone(),
        Int8 | Int16 | UInt8 | UInt16 => Int32,
        UInt32 => Int64,
        UInt64 => Decimal128(20, 0),
        Float16 => Float32,
        Date64 => Date32,
        LargeUtf8 | Utf8View => Utf8,
        DataType::Binary | BinaryView | DataType::FixedSizeBinary(_) => LargeBinary,
        Decimal32(precision, scale) | Decimal64(precision, scale) | Decimal128(precision, scale) if *scale >= 0 => {
            Decimal128(*precision, *scale)
        }
        Timestamp(_, zone) => Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "+00:00".into())),
        Dictionary(_, values) => column_type(values)?,
        List(element) | LargeList(element) => {
            List(Arc::new(Field::new("element", column_type(element.data_type())?, true)))
        }
        Struct(fields) => {
            let field = |field: &FieldRef| {
                let data_type = column_type(field.data_type())?;
                Some(field.as_ref().clone().with_data_type(data_type).with_nullable(true))
            };
            Struct(fields.iter().map(field).collect::<Option<Vec<Field>>>()?.into())
        }
        _ => return None,
    })
}

/// Whether a column of type `to` holds every value of type `from`, exactly.
pub(crate) fn holds(to: &DataType, from: &DataType) -> bool {
    use DataType::{Binary, Decimal128, Float32, Float64, Int32, Int64, LargeBinary, LargeUtf8, Utf8};
    let whole_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    match (to, from) {
        (Int64, Int32) | (Float64, Float32) | (Utf8, LargeUtf8) | (LargeUtf8, Utf8) => true,
        (Binary, LargeBinary) | (LargeBinary, Binary) => true,
        (Decimal128(precision, scale), Int32) => whole_digits(*precision, *scale) >= 10,
        (Decimal128(precision, scale), Int64) => whole_digits(*precision, *scale) >= 19,
        (Decimal128(precision, scale), Decimal128(from_precision, from_scale)) => {
            scale >= from_scale && whole_digits(*precision, *scale) >= whole_digits(*from_precision, *from_scale)
        }
        _ => to.equals_datatype(from),
    }
}

/// A type as SQL spells it.
pub(crate) fn spelled(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}
