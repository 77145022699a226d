//! The type of an attribute, from the values seen of it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use crate::decode::misfit::Misfit;
use crate::decode::nested::check_depth;
use crate::decode::number::Number;
use crate::decode::tape::Json;
use crate::decode::value::{SetOf, Value};
use crate::shape::described;

const DECIMAL_DIGITS_MAX: u32 = 38;

/// What all values seen so far have in common. Types only ever widen, and text holds everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttributeType {
    /// Only nulls.
    Unknown,
    Boolean,
    Binary,
    /// The most digits seen before and after the point, and whether all fit i64.
    Number {
        whole_digits: u32,
        scale: u32,
        fits_long: bool,
    },
    Text,
    /// Values that have no type in common: each becomes text.
    Mixed,
    List(Box<AttributeType>),
    /// Maps that all have the same members, in the order of their names.
    Struct(Vec<(String, AttributeType)>),
}

impl AttributeType {
    /// The type of one value that stands `depth` maps and lists below its item.
    pub fn of_value(value: &Value<'_>, depth: usize) -> Result<Self, Misfit> {
        Ok(match value {
            Value::S(_) => Self::Text,
            Value::N(text) => Self::of_number(Number::parse(text)?),
            Value::B(_) => Self::Binary,
            Value::Bool(_) => Self::Boolean,
            Value::Null => Self::Unknown,
            Value::M(members) => {
                check_depth(depth + 1)?;
                let member = |(name, json): (&str, Json<'_>)| {
                    Ok((name.to_owned(), Self::of_value(&Value::read(json)?, depth + 1)?))
                };
                let mut members = members.clone().map(member).collect::<Result<Vec<_>, Misfit>>()?;
                members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                Self::Struct(members)
            }
            Value::L(elements) => {
                check_depth(depth + 1)?;
                let mut element_type = Self::Unknown;
                for element in elements.clone() {
                    element_type = element_type.merged(Self::of_value(&Value::read(element)?, depth + 1)?);
                }
                Self::list_of(element_type)
            }
            Value::Set(SetOf::Strings, _) => Self::List(Box::new(Self::Text)),
            Value::Set(SetOf::Binaries, _) => Self::List(Box::new(Self::Binary)),
            Value::Set(SetOf::Numbers, elements) => {
                let mut element_type = Self::Unknown;
                for element in elements.clone() {
                    let number = Number::parse(element.as_str().ok_or(Misfit::NotAValue)?)?;
                    element_type = element_type.merged(Self::of_number(number));
                }
                Self::List(Box::new(element_type))
            }
        })
    }

    fn of_number(number: Number) -> Self {
        let (whole_digits, scale) = number.digits_around_point();
        Self::Number { whole_digits, scale, fits_long: number.to_i64().is_some() }
    }

    /// The type that holds the values of both.
    pub fn merged(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (
                Self::Number { whole_digits: a, scale: s, fits_long: f },
                Self::Number { whole_digits, scale, fits_long },
            ) => Self::Number { whole_digits: a.max(whole_digits), scale: s.max(scale), fits_long: f && fits_long },
            (Self::List(a), Self::List(b)) => Self::list_of(a.merged(*b)),
            (Self::Struct(a), Self::Struct(b)) if names(&a).eq(names(&b)) => {
                let merged = a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a.merged(b)));
                Self::Struct(merged.collect())
            }
            (a, b) if a == b => a,
            _ => Self::Mixed,
        }
    }

    /// A list whose elements have no type in common would lose which is which: it is text as a whole.
    fn list_of(element_type: Self) -> Self {
        if element_type == Self::Mixed { Self::Mixed } else { Self::List(Box::new(element_type)) }
    }

    /// The type of the column. It holds every value seen; a later one that it cannot hold is rejected.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Binary => DataType::LargeBinary,
            Self::Number { fits_long: true, scale: 0, .. } => DataType::Int64,
            Self::Number { whole_digits, scale, .. } if whole_digits + scale <= DECIMAL_DIGITS_MAX => {
                DataType::Decimal128(DECIMAL_DIGITS_MAX as u8, *scale as i8)
            }
            Self::List(element) if **element != Self::Unknown => {
                DataType::List(Arc::new(Field::new("element", element.data_type(), true)))
            }
            Self::Struct(members) if is_columnar(members) => {
                let field =
                    |(name, member): &(String, Self)| described(&name.to_lowercase(), name, member.data_type(), true);
                DataType::Struct(members.iter().map(field).collect())
            }
            // Empty maps and lists have no shape yet, and JSON text takes whatever comes.
            Self::Unknown | Self::Number { .. } | Self::Text | Self::Mixed | Self::List(_) | Self::Struct(_) => {
                DataType::Utf8
            }
        }
    }
}

fn names(members: &[(String, AttributeType)]) -> impl Iterator<Item = &String> {
    members.iter().map(|(name, _)| name)
}

/// Whether the members can be fields of a struct, whose names have no case.
fn is_columnar(members: &[(String, AttributeType)]) -> bool {
    let mut folded: Vec<String> = names(members).map(|name| name.to_lowercase()).collect();
    folded.sort_unstable();
    !folded.is_empty() && folded.windows(2).all(|pair| pair[0] != pair[1]) && !folded[0].is_empty()
}
