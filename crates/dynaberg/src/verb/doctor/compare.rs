//! Compares items of the source with rows of the lake. It counts, and names columns: values stay where they are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What became of items on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    pub items: usize,
    pub rows: usize,
    /// Rows of which no item is there.
    pub rows_without_item: usize,
    /// Rows beyond the first of their key, that differ from it.
    pub rows_again: usize,
    /// The same, of rows that are equal in every column.
    pub rows_repeated: usize,
    /// Items without a row, though another item with the same partition key has one.
    pub items_hidden: usize,
    /// Items without a row otherwise.
    pub items_without_row: usize,
    /// Columns that hold something else than a value of the item's type.
    pub mistyped: BTreeSet<String>,
    /// Columns whose numbers lost digits.
    pub rounded: BTreeSet<String>,
    /// Columns of date and time that say something else than the item.
    pub shifted: BTreeSet<String>,
    /// Rows with an older state of their item, or another one.
    pub rows_stale: usize,
    /// Attributes that have no column.
    pub attributes_lost: BTreeSet<String>,
    /// Columns that no item fills and no row has a value in.
    pub columns_unused: BTreeSet<String>,
}

/// Columns that the sample derives from its timestamp.
const DERIVED: [&str; 3] = ["date", "hour", "minute"];

/// Compares `items`, as DynamoDB writes them, with `rows`, by the key attributes, the partition key first. `types` are the
/// columns of the table.
pub fn compare(
    keys: &[String],
    types: &[(String, String)],
    items: &[Map<String, Value>],
    rows: &[Map<String, Value>],
) -> Comparison {
    let key_of_item = |item: &Map<String, Value>| -> Option<Vec<String>> {
        keys.iter().map(|key| item_text(item.get(key)?)).collect()
    };
    let key_of_row = |row: &Map<String, Value>| -> Option<Vec<String>> {
        keys.iter().map(|key| row_text(row.get(&key.to_lowercase())?)).collect()
    };
    let items_by_key: BTreeMap<Vec<String>, &Map<String, Value>> =
        items.iter().filter_map(|item| Some((key_of_item(item)?, item))).collect();
    let mut rows_by_key: BTreeMap<Vec<String>, Vec<&Map<String, Value>>> = BTreeMap::new();
    for row in rows {
        rows_by_key.entry(key_of_row(row).unwrap_or_default()).or_default().push(row);
    }
    let partitions: BTreeSet<&String> = rows_by_key.keys().filter_map(|key| key.first()).collect();
    let mut found = Comparison { items: items.len(), rows: rows.len(), ..Comparison::default() };
    for (key, same) in &rows_by_key {
        let mut distinct: Vec<&Map<String, Value>> = Vec::new();
        for row in same {
            match distinct.contains(row) {
                true => found.rows_repeated += 1,
                false => distinct.push(row),
            }
        }
        found.rows_again += distinct.len() - 1;
        match items_by_key.get(key) {
            None => found.rows_without_item += same.len(),
            // Of several rows some may be right: what became of the values is told by the others.
            Some(item) if same.len() == 1 => found.compare_values(keys, types, item, same[0]),
            Some(_) => {}
        }
    }
    for key in items_by_key.keys().filter(|key| !rows_by_key.contains_key(*key)) {
        let is_hidden = keys.len() > 1 && key.first().is_some_and(|first| partitions.contains(first));
        *(if is_hidden { &mut found.items_hidden } else { &mut found.items_without_row }) += 1;
    }
    found.compare_columns(types, items, rows);
    found
}

impl Comparison {
    fn compare_values(
        &mut self,
        keys: &[String],
        types: &[(String, String)],
        item: &Map<String, Value>,
        row: &Map<String, Value>,
    ) {
        let mut is_stale = false;
        for (column, kind) in types {
            let attribute = item.iter().find(|(name, _)| name.to_lowercase() == *column && !keys.contains(name));
            let Some((_, value)) = attribute else { continue };
            let there = row.get(column).unwrap_or(&Value::Null);
            match judge(value, kind, there) {
                Verdict::Same => {}
                Verdict::Mistyped => drop(self.mistyped.insert(column.clone())),
                Verdict::Rounded => drop(self.rounded.insert(column.clone())),
                Verdict::Other if DERIVED.contains(&column.as_str()) => drop(self.shifted.insert(column.clone())),
                Verdict::Other => is_stale = true,
            }
        }
        self.rows_stale += usize::from(is_stale);
    }

    fn compare_columns(
        &mut self,
        types: &[(String, String)],
        items: &[Map<String, Value>],
        rows: &[Map<String, Value>],
    ) {
        let columns: BTreeSet<&String> = types.iter().map(|(name, _)| name).collect();
        let attributes: BTreeSet<&String> = items.iter().flat_map(Map::keys).collect();
        let lost = attributes.iter().filter(|name| !columns.contains(&name.to_lowercase()));
        self.attributes_lost = lost.map(|name| (*name).clone()).collect();
        let named: BTreeSet<String> = attributes.iter().map(|name| name.to_lowercase()).collect();
        let is_empty = |name: &String| rows.iter().all(|row| row.get(name).is_none_or(Value::is_null));
        let unused = columns.into_iter().filter(|name| !items.is_empty() && !named.contains(*name) && is_empty(name));
        self.columns_unused = unused.cloned().collect();
    }
}

enum Verdict {
    Same,
    Mistyped,
    Rounded,
    Other,
}

/// Compares an attribute with what a column of type `kind` holds.
fn judge(attribute: &Value, kind: &str, there: &Value) -> Verdict {
    let Some((tag, value)) = attribute.as_object().and_then(|it| it.iter().next()) else { return Verdict::Other };
    let same_if = |is_same: bool| if is_same { Verdict::Same } else { Verdict::Other };
    match tag.as_str() {
        "NULL" => {
            if there.is_null() {
                Verdict::Same
            } else {
                Verdict::Mistyped
            }
        }
        _ if there.is_null() => Verdict::Other,
        "N" if kind == "string" => Verdict::Mistyped,
        "N" => {
            let (item, row) = (number_text(value.as_str().unwrap_or_default()), row_text(there).unwrap_or_default());
            match (item == row, matches!(kind, "double" | "float")) {
                (true, _) => Verdict::Same,
                // The digits that a float has may be those of the number, cut.
                (false, true) if is_near(&item, &row) => Verdict::Rounded,
                _ => Verdict::Other,
            }
        }
        "BOOL" if kind != "boolean" => Verdict::Mistyped,
        "M" | "L" | "SS" | "NS" | "BS" => match has_type_tags(there) || kind == "string" {
            true => Verdict::Mistyped,
            false => Verdict::Same,
        },
        "B" => {
            if kind == "binary" {
                Verdict::Same
            } else {
                Verdict::Mistyped
            }
        }
        // A text may be a date or a time in the lake: only texts are compared.
        "S" if kind == "string" => same_if(value == there),
        _ => Verdict::Same,
    }
}

/// Whether a value is still DynamoDB's JSON: `{"S": "…"}`, as it is or within.
fn has_type_tags(value: &Value) -> bool {
    const TAGS: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"];
    match value {
        Value::String(text) => serde_json::from_str::<Value>(text).is_ok_and(|inner| has_type_tags(&inner)),
        Value::Array(members) => members.iter().any(has_type_tags),
        Value::Object(members) => {
            let is_tagged = members.len() == 1 && members.keys().all(|key| TAGS.contains(&key.to_uppercase().as_str()));
            is_tagged || members.values().any(has_type_tags)
        }
        _ => false,
    }
}

fn is_near(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (one.parse::<f64>(), other.parse::<f64>()) else { return false };
    (one - other).abs() <= one.abs() * 1e-6
}

/// A key attribute as text: `{"N": "7.0"}` is `7`.
fn item_text(attribute: &Value) -> Option<String> {
    let (tag, value) = attribute.as_object()?.iter().next()?;
    let text = value.as_str()?;
    Some(if tag == "N" { number_text(text) } else { text.to_owned() })
}

fn row_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.parse::<f64>().is_ok() => Some(number_text(text)),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number_text(&number.to_string())),
        other => Some(other.to_string()),
    }
}

/// One spelling for a number: no exponent of zero, no zeros at the end of its fraction.
fn number_text(text: &str) -> String {
    match text.split_once('.') {
        Some((whole, fraction)) if !fraction.contains(['e', 'E']) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
