//! Regular expressions as Athena has them: `regexp_replace` replaces every match, and `$1` is a group.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use regex::Regex;

use crate::functions::scalar::{Scalar, count, text};

pub(super) fn all() -> Vec<Scalar> {
    vec![
        Scalar::new("regexp_extract", takes_group, text, extract),
        Scalar::new("regexp_extract_all", takes_group, texts_list, extract_all),
        Scalar::new("regexp_replace", takes_replacement, text, replace),
        Scalar::new("regexp_split", |types| count::<2>(types).map(|()| vec![DataType::Utf8; 2]), texts_list, split),
    ]
}

fn takes_group(types: &[DataType]) -> Result<Vec<DataType>> {
    if types.len() == 3 {
        return Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64]);
    }
    count::<2>(types).map(|()| vec![DataType::Utf8; 2])
}

fn takes_replacement(types: &[DataType]) -> Result<Vec<DataType>> {
    if types.len() == 3 {
        return Ok(vec![DataType::Utf8; 3]);
    }
    count::<2>(types).map(|()| vec![DataType::Utf8; 2])
}

fn texts_list(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
}

/// The patterns of a batch, each compiled once.
#[derive(Default)]
struct Patterns(HashMap<String, Regex>);

impl Patterns {
    fn get(&mut self, pattern: &str) -> Result<&Regex> {
        if !self.0.contains_key(pattern) {
            let regex = Regex::new(pattern);
            let regex = regex.map_err(|_| exec_datafusion_err!("'{pattern}' is no regular expression"))?;
            self.0.insert(pattern.to_owned(), regex);
        }
        Ok(&self.0[pattern])
    }
}

/// The group that a call asks for; the whole match if it asks for none.
fn group(arrays: &[ArrayRef], row: usize) -> Option<usize> {
    let Some(groups) = arrays.get(2) else { return Some(0) };
    let groups = groups.as_primitive::<Int64Type>();
    groups.is_valid(row).then(|| usize::try_from(groups.value(row)).ok())?
}

fn rows(arrays: &[ArrayRef]) -> impl Iterator<Item = Option<(usize, &str, &str)>> {
    let both = arrays[0].as_string::<i32>().iter().zip(arrays[1].as_string::<i32>().iter()).enumerate();
    both.map(|(row, (text, pattern))| Some((row, text?, pattern?)))
}

fn extract(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let found = rows(arrays).map(|row| {
        let Some((row, text, pattern)) = row else { return Ok(None) };
        let Some(group) = group(arrays, row) else { return Ok(None) };
        let captures = patterns.get(pattern)?.captures(text);
        Ok(captures.and_then(|captures| Some(captures.get(group)?.as_str().to_owned())))
    });
    Ok(Arc::new(found.collect::<Result<StringArray>>()?))
}

fn extract_all(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows(arrays) {
        let row = row.and_then(|(row, text, pattern)| Some((text, pattern, group(arrays, row)?)));
        if let Some((text, pattern, group)) = row {
            for captures in patterns.get(pattern)?.captures_iter(text) {
                lists.values().append_option(captures.get(group).map(|found| found.as_str()));
            }
        }
        lists.append(row.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn replace(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let replacements = arrays.get(2).map(|replacements| replacements.as_string::<i32>());
    let replaced = rows(arrays).map(|row| {
        let Some((row, text, pattern)) = row else { return Ok(None) };
        let replacement = match replacements {
            Some(replacements) if replacements.is_null(row) => return Ok(None),
            Some(replacements) => braced(replacements.value(row)),
            None => String::new(),
        };
        Ok(Some(patterns.get(pattern)?.replace_all(text, replacement).into_owned()))
    });
    Ok(Arc::new(replaced.collect::<Result<StringArray>>()?))
}

/// `$1x` is group 1 and an x; the regex crate would look for a group named `1x`.
fn braced(replacement: &str) -> String {
    let mut braced = String::with_capacity(replacement.len());
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        braced.push_str(&rest[..at]);
        match digits {
            0 => braced.push('$'),
            _ => braced.push_str(&format!("${{{}}}", &rest[at + 1..at + 1 + digits])),
        }
        rest = &rest[at + 1 + digits..];
    }
    braced + rest
}

fn split(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut patterns = Patterns::default();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows(arrays) {
        if let Some((_, text, pattern)) = row {
            for part in patterns.get(pattern)?.split(text) {
                lists.values().append_value(part);
            }
        }
        lists.append(row.is_some());
    }
    Ok(Arc::new(lists.finish()))
}
