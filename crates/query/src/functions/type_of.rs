//! `typeof(x)`: types as Trino spells them, which is not how Athena's DDL does.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, TimeUnit};

use crate::functions::scalar::{Scalar, count, text};

pub(super) fn all() -> Vec<Scalar> {
    let takes = |types: &[DataType]| count::<1>(types).map(|()| types.to_vec());
    vec![Scalar::new("typeof", takes, text, |arrays, _| {
        let name = trino_name(arrays[0].data_type());
        Ok(Arc::new(StringArray::from(vec![name; arrays[0].len()])))
    })]
}

/// `varchar`, `decimal(12,2)`, `array(row(a bigint))`: the type as Trino spells it.
pub(crate) fn trino_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "unknown".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".to_owned()
        }
        DataType::Timestamp(unit, zone) => {
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            format!("timestamp({digits}){}", if zone.is_some() { " with time zone" } else { "" })
        }
        DataType::Interval(_) | DataType::Duration(_) => "interval day to second".to_owned(),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            format!("array({})", trino_name(element.data_type()))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", field.name(), trino_name(field.data_type())));
            format!("row({})", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => {
                format!("map({}, {})", trino_name(entry[0].data_type()), trino_name(entry[1].data_type()))
            }
            other => other.to_string(),
        },
        other => crate::type_name::type_name(other),
    }
}
