//! Types as PostgreSQL knows them: by number.

use arrow::datatypes::DataType;

/// A type of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgType {
    /// The number that the type has in every PostgreSQL.
    pub oid: i32,
    /// Bytes of a value; -1 where they vary.
    pub size: i16,
    /// Precision and scale of a decimal; -1 where there is nothing to say.
    pub modifier: i32,
}

impl PgType {
    pub const BOOL: Self = Self::new(16, 1);
    pub const BYTEA: Self = Self::new(17, -1);
    pub const INT8: Self = Self::new(20, 8);
    pub const INT2: Self = Self::new(21, 2);
    pub const INT4: Self = Self::new(23, 4);
    pub const TEXT: Self = Self::new(25, -1);
    pub const JSON: Self = Self::new(114, -1);
    pub const FLOAT4: Self = Self::new(700, 4);
    pub const FLOAT8: Self = Self::new(701, 8);
    pub const DATE: Self = Self::new(1082, 4);
    pub const TIME: Self = Self::new(1083, 8);
    pub const TIMESTAMP: Self = Self::new(1114, 8);
    pub const TIMESTAMPTZ: Self = Self::new(1184, 8);
    pub const NUMERIC: Self = Self::new(1700, -1);

    const fn new(oid: i32, size: i16) -> Self {
        Self { oid, size, modifier: -1 }
    }

    fn numeric(precision: u8, scale: i8) -> Self {
        Self { modifier: ((i32::from(precision) << 16) | i32::from(scale)) + 4, ..Self::NUMERIC }
    }
}

/// A type in `pg_type`: its number, name, the number of its array, the size, and the category.
pub(super) struct Known {
    pub oid: i32,
    pub name: &'static str,
    pub array_oid: i32,
    pub size: i16,
    pub category: &'static str,
}

macro_rules! known {
    ($($oid:literal $name:literal $array:literal $size:literal $category:literal;)*) => {
        &[$(Known { oid: $oid, name: $name, array_oid: $array, size: $size, category: $category }),*]
    };
}

/// From PostgreSQL's own `pg_type.dat`, whose numbers never change: those that we send, and those that clients look up.
pub(super) const KNOWN: &[Known] = known! {
    16 "bool" 1000 1 "B";
    17 "bytea" 1001 -1 "U";
    18 "char" 1002 1 "Z";
    19 "name" 1003 64 "S";
    20 "int8" 1016 8 "N";
    21 "int2" 1005 2 "N";
    23 "int4" 1007 4 "N";
    25 "text" 1009 -1 "S";
    26 "oid" 1028 4 "N";
    114 "json" 199 -1 "U";
    700 "float4" 1021 4 "N";
    701 "float8" 1022 8 "N";
    1042 "bpchar" 1014 -1 "S";
    1043 "varchar" 1015 -1 "S";
    1082 "date" 1182 4 "D";
    1083 "time" 1183 8 "D";
    1114 "timestamp" 1115 8 "D";
    1184 "timestamptz" 1185 8 "D";
    1186 "interval" 1187 16 "T";
    1700 "numeric" 1231 -1 "N";
    2205 "regclass" 2210 4 "N";
    2950 "uuid" 2951 16 "U";
    3802 "jsonb" 3807 -1 "U";
};

/// The type that values of `data_type` are sent as. What PostgreSQL has no type for is JSON.
pub fn pg_type(data_type: &DataType) -> PgType {
    match data_type {
        DataType::Boolean => PgType::BOOL,
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => PgType::INT2,
        DataType::UInt16 | DataType::Int32 => PgType::INT4,
        DataType::UInt32 | DataType::Int64 => PgType::INT8,
        DataType::UInt64 => PgType::numeric(20, 0),
        DataType::Float16 | DataType::Float32 => PgType::FLOAT4,
        DataType::Float64 => PgType::FLOAT8,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => PgType::numeric(*precision, *scale),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => PgType::BYTEA,
        DataType::Date32 | DataType::Date64 => PgType::DATE,
        DataType::Time32(_) | DataType::Time64(_) => PgType::TIME,
        DataType::Timestamp(_, None) => PgType::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => PgType::TIMESTAMPTZ,
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            array_of(pg_type(element.data_type()))
        }
        DataType::Struct(_) | DataType::Map(..) => PgType::JSON,
        DataType::Dictionary(_, value) => pg_type(value),
        _ => PgType::TEXT,
    }
}

/// Arrays of arrays need not be rectangular here, and PostgreSQL's must be: they are JSON, as arrays of rows are.
fn array_of(element: PgType) -> PgType {
    match KNOWN.iter().find(|known| known.oid == element.oid && element != PgType::JSON) {
        Some(known) => PgType { oid: known.array_oid, size: -1, modifier: element.modifier },
        None => PgType::JSON,
    }
}

/// `numeric(12,2)`, `timestamp without time zone`, `text[]`: as PostgreSQL's `format_type` says it.
pub(super) fn format_type(oid: i32, modifier: i32) -> String {
    if let Some(element) = KNOWN.iter().find(|known| known.array_oid == oid) {
        return format!("{}[]", format_type(element.oid, modifier));
    }
    let name = match oid {
        16 => "boolean",
        18 => "\"char\"",
        20 => "bigint",
        21 => "smallint",
        23 => "integer",
        700 => "real",
        701 => "double precision",
        1042 => "character",
        1043 => "character varying",
        1083 => "time without time zone",
        1114 => "timestamp without time zone",
        1184 => "timestamp with time zone",
        1700 if modifier >= 4 => {
            let (precision, scale) = ((modifier - 4) >> 16, (modifier - 4) & 0x7ff);
            return format!("numeric({precision},{scale})");
        }
        other => KNOWN.iter().find(|known| known.oid == other).map_or("???", |known| known.name),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn types_are_said_in_postgresqls_words() {
        let list = |element: DataType| DataType::List(Arc::new(Field::new("element", element, true)));
        let said = |data_type: DataType| {
            let known = pg_type(&data_type);
            format_type(known.oid, known.modifier)
        };
        assert_eq!(said(DataType::Decimal128(12, 2)), "numeric(12,2)");
        assert_eq!(said(DataType::Utf8View), "text");
        assert_eq!(said(list(DataType::Int64)), "bigint[]");
        assert_eq!(said(list(DataType::Decimal128(5, 1))), "numeric(5,1)[]");
        assert_eq!(said(list(list(DataType::Int64))), "json");
        assert_eq!(said(DataType::Struct(vec![Field::new("a", DataType::Int64, true)].into())), "json");
    }
}
