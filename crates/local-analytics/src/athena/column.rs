//! Columns of a result, as GetQueryResults describes them.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColumnInfo {
    pub name: String,
    /// Trino's name for the type.
    pub type_name: String,
    pub precision: i32,
    pub scale: i32,
}

impl ColumnInfo {
    pub(super) fn of(field: &Field) -> Self {
        let (type_name, precision, scale) = described(field.data_type());
        Self { name: field.name().clone(), type_name: type_name.to_owned(), precision, scale }
    }

    /// A column of text, as DDL answers it.
    pub(super) fn text(name: &str) -> Self {
        Self { name: name.to_owned(), type_name: "string".to_owned(), precision: 0, scale: 0 }
    }

    pub(super) fn shown(&self) -> Value {
        json!({
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": self.type_name,
            "Precision": self.precision,
            "Scale": self.scale,
            "Nullable": "UNKNOWN",
            "CaseSensitive": matches!(self.type_name.as_str(), "varchar" | "char"),
        })
    }
}

/// Name, precision and scale, with the numbers that Athena reports for types that have none of their own.
fn described(data_type: &DataType) -> (&'static str, i32, i32) {
    match data_type {
        DataType::Boolean => ("boolean", 0, 0),
        DataType::Int8 => ("tinyint", 3, 0),
        DataType::Int16 | DataType::UInt8 => ("smallint", 5, 0),
        DataType::Int32 | DataType::UInt16 => ("integer", 10, 0),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => ("bigint", 19, 0),
        DataType::Float16 | DataType::Float32 => ("float", 17, 0),
        DataType::Float64 => ("double", 17, 0),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => ("decimal", (*precision).into(), (*scale).into()),
        DataType::Date32 | DataType::Date64 => ("date", 0, 0),
        DataType::Time32(_) | DataType::Time64(_) => ("time", 3, 0),
        DataType::Timestamp(_, None) => ("timestamp", 3, 0),
        DataType::Timestamp(_, Some(_)) => ("timestamp with time zone", 3, 0),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ("varbinary", 1_073_741_824, 0)
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => ("array", 0, 0),
        DataType::Struct(_) => ("row", 0, 0),
        DataType::Map(..) => ("map", 0, 0),
        DataType::Dictionary(_, value) => described(value),
        _ => ("varchar", i32::MAX, 0),
    }
}
