//! Types as Hive spells them: `decimal(12,2)`, `array<struct<a:int,b:string>>`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Reads a type; `None` where it is none that we know.
pub fn hive_type(text: &str) -> Option<DataType> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    parse(&text.to_lowercase())
}

fn parse(text: &str) -> Option<DataType> {
    let simple = match text {
        "boolean" => Some(DataType::Boolean),
        "tinyint" => Some(DataType::Int8),
        "smallint" => Some(DataType::Int16),
        "int" | "integer" => Some(DataType::Int32),
        "bigint" => Some(DataType::Int64),
        "float" | "real" => Some(DataType::Float32),
        "double" => Some(DataType::Float64),
        "string" | "varchar" | "char" => Some(DataType::Utf8View),
        "binary" => Some(DataType::Binary),
        "date" => Some(DataType::Date32),
        "timestamp" => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
        "decimal" => Some(DataType::Decimal128(10, 0)),
        _ => None,
    };
    if simple.is_some() {
        return simple;
    }
    if let Some(inner) = within(text, "decimal(", ")") {
        let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
        let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
        return (1..=38).contains(&precision).then_some(DataType::Decimal128(precision, scale));
    }
    if let Some(length) = within(text, "varchar(", ")").or_else(|| within(text, "char(", ")")) {
        return length.parse::<u32>().is_ok().then_some(DataType::Utf8View);
    }
    if let Some(element) = within(text, "array<", ">") {
        return Some(DataType::List(Arc::new(Field::new_list_field(parse(element)?, true))));
    }
    if let Some(inner) = within(text, "map<", ">") {
        let [key, value] = <[&str; 2]>::try_from(split(inner)).ok()?;
        let entries = vec![Field::new("key", parse(key)?, false), Field::new("value", parse(value)?, true)];
        return Some(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false));
    }
    let fields = split(within(text, "struct<", ">")?).into_iter().map(|field| {
        let (name, of) = field.split_once(':')?;
        Some(Field::new(name.trim_matches('`'), parse(of)?, true))
    });
    Some(DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into()))
}

fn within<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// Cuts at commas that are in no brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|character| {
        match character {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_name;

    #[test]
    fn types_are_read_as_they_are_written() {
        for text in [
            "tinyint",
            "decimal(12,2)",
            "array<struct<a:int,b:map<string,decimal(3,1)>>>",
            "map<string,array<double>>",
            "struct<at:timestamp,of:date>",
        ] {
            assert_eq!(type_name(&hive_type(text).unwrap()), text);
        }
        assert_eq!(hive_type("VARCHAR(10)"), Some(DataType::Utf8View));
        assert_eq!(hive_type("array< int >"), hive_type("array<int>"));
        for text in ["", "thing", "array<>", "map<int>", "decimal(99,2)", "struct<a>", "array<int"] {
            assert_eq!(hive_type(text), None, "{text}");
        }
    }
}
