//! Lines of delimited text as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::exec_err;
use datafusion::error::Result;

use crate::external::Delimited;
use crate::external::partitions::value_of_text;

/// The columns of `schema` in the order in which lines have them. A value that is missing or cannot be read is NULL.
pub(super) fn rows(lines: &[String], format: &Delimited, schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
    let mut builders: Vec<StringBuilder> = schema.fields().iter().map(|_| StringBuilder::new()).collect();
    for line in lines {
        let mut values = cut(line, format).into_iter();
        for builder in &mut builders {
            builder.append_option(values.next().filter(|value| format.null.as_ref() != Some(value)));
        }
    }
    let columns = builders.iter_mut().zip(schema.fields()).map(|(builder, field)| {
        if field.data_type().is_nested() || matches!(field.data_type(), DataType::Binary) {
            return exec_err!("column {}: text holds no values of this type", field.name());
        }
        value_of_text(Arc::new(builder.finish()), field.data_type())
    });
    columns.collect()
}

fn cut(line: &str, format: &Delimited) -> Vec<String> {
    let mut values = Vec::new();
    let mut value = String::new();
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            _ if format.quote == Some(character) => match is_quoted && characters.peek() == Some(&character) {
                // A quote in quotes is doubled.
                true => value.extend(characters.next()),
                false => is_quoted = !is_quoted,
            },
            _ if format.escape == Some(character) => match characters.peek() {
                // `\N` stays what it is: it stands for NULL.
                Some('N') if format.null.as_deref() == Some("\\N") => value.push(character),
                Some(_) => value.extend(characters.next()),
                None => value.push(character),
            },
            _ if character == format.separator && !is_quoted => values.push(std::mem::take(&mut value)),
            _ => value.push(character),
        }
    }
    values.push(value);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_their_format_says() {
        let plain =
            Delimited { separator: ',', quote: None, escape: None, null: Some("\\N".to_owned()), header_lines: 0 };
        assert_eq!(cut("a,\"b,c\",", &plain), ["a", "\"b", "c\"", ""]);
        let escaped = Delimited { escape: Some('\\'), ..plain.clone() };
        assert_eq!(cut("a\\,b,\\N,c\\\\", &escaped), ["a,b", "\\N", "c\\"]);
        let quoted = Delimited { quote: Some('"'), escape: Some('\\'), null: None, ..plain };
        assert_eq!(cut("\"a,b\",\"c\"\"d\",\"e\\\"f\"", &quoted), ["a,b", "c\"d", "e\"f"]);
    }
}
