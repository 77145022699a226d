//! Types as Athena writes them in CAST: `varchar(10)`, `timestamp(3)`, `array(row(a bigint))`, `map(varchar, double)`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, TimezoneInfo};

#[derive(Debug)]
pub(crate) struct AthenaTypes;

impl TypePlanner for AthenaTypes {
    fn plan_type(&self, sql_type: &SqlType) -> Result<Option<DataType>> {
        Ok(Some(match sql_type {
            SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Character(_) | SqlType::CharacterVarying(_) => {
                DataType::Utf8View
            }
            SqlType::Text | SqlType::String(_) | SqlType::JSON => DataType::Utf8View,
            SqlType::Varbinary(_) | SqlType::Binary(_) => DataType::Binary,
            SqlType::Timestamp(precision, zone) => {
                let unit = match precision {
                    None | Some(1..=3) => TimeUnit::Millisecond,
                    Some(0) => TimeUnit::Second,
                    Some(4..=6) => TimeUnit::Microsecond,
                    Some(7..=9) => TimeUnit::Nanosecond,
                    Some(_) => return plan_err!("{sql_type} has more digits than there are: at most 9"),
                };
                let has_zone = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
                DataType::Timestamp(unit, has_zone.then(|| "+00:00".into()))
            }
            SqlType::Array(
                ArrayElemTypeDef::AngleBracket(element)
                | ArrayElemTypeDef::Parenthesis(element)
                | ArrayElemTypeDef::SquareBracket(element, _),
            ) => DataType::List(Arc::new(Field::new_list_field(self.need(element)?, true))),
            SqlType::Map(key, value) => {
                let entries =
                    vec![Field::new("key", self.need(key)?, false), Field::new("value", self.need(value)?, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
            }
            SqlType::Struct(fields, _) => {
                let field = |(index, field): (usize, &datafusion::sql::sqlparser::ast::StructField)| {
                    let name = field.field_name.as_ref().map(|name| name.value.to_lowercase());
                    Ok(Field::new(name.unwrap_or(format!("field{index}")), self.need(&field.field_type)?, true))
                };
                DataType::Struct(fields.iter().enumerate().map(field).collect::<Result<Vec<_>>>()?.into())
            }
            _ => return Ok(None),
        }))
    }
}

impl AthenaTypes {
    /// The type of a part of a nested type.
    fn need(&self, sql_type: &SqlType) -> Result<DataType> {
        if let Some(planned) = self.plan_type(sql_type)? {
            return Ok(planned);
        }
        Ok(match sql_type {
            SqlType::Boolean | SqlType::Bool => DataType::Boolean,
            SqlType::TinyInt(_) => DataType::Int8,
            SqlType::SmallInt(_) => DataType::Int16,
            SqlType::Int(_) | SqlType::Integer(_) => DataType::Int32,
            SqlType::BigInt(_) => DataType::Int64,
            SqlType::Real | SqlType::Float(_) => DataType::Float32,
            SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
            SqlType::Date => DataType::Date32,
            SqlType::Decimal(info) | SqlType::Numeric(info) => {
                use datafusion::sql::sqlparser::ast::ExactNumberInfo::{None, Precision, PrecisionAndScale};
                match info {
                    None => DataType::Decimal128(38, 0),
                    Precision(precision) => DataType::Decimal128(*precision as u8, 0),
                    PrecisionAndScale(precision, scale) => DataType::Decimal128(*precision as u8, *scale as i8),
                }
            }
            other => return plan_err!("{other} is no type that can stand inside another"),
        })
    }
}
