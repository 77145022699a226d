//! Columns for attributes that the table does not have yet.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::attribute::AttributeType;
use crate::decode::misfit::{Misfit, Rejection};
use crate::decode::tape::Json;
use crate::decode::value::Value;
use crate::shape::{NewColumn, TableShape};

/// A table is not made wider than this: items whose attribute names are data would widen it without end.
const COLUMNS_MAX: usize = 1000;

/// The attributes without a column in the records being decoded.
pub(crate) struct NewColumns {
    evolve: bool,
    existing: HashSet<String>,
    attributes: Vec<(String, AttributeType)>,
    /// Those of the record at hand, until it is known to become a row.
    seen: Vec<(String, AttributeType)>,
}

impl NewColumns {
    pub fn new(shape: &TableShape) -> Self {
        let existing = shape.schema.fields().iter().map(|field| field.name().to_lowercase()).collect();
        Self { evolve: shape.evolve, existing, attributes: Vec::new(), seen: Vec::new() }
    }

    /// Takes note of an attribute that has no column.
    ///
    /// A map or a list becomes JSON text: one value is no shape, and a column of one shape would reject all others.
    pub fn see(&mut self, name: &str, json: Json<'_>) -> Result<(), Rejection> {
        if !self.evolve {
            return Ok(());
        }
        let attribute_type = Self::type_of(json).map_err(|misfit| Rejection::of_attribute(name, misfit))?;
        if attribute_type == AttributeType::Unknown {
            return Ok(());
        }
        if self.existing.len() + self.attributes.len() + self.seen.len() >= COLUMNS_MAX {
            let reason = format!("attribute `{name}` would make the table wider than {COLUMNS_MAX} columns");
            return Err(Rejection::new("DYN411", reason));
        }
        self.seen.push((name.to_owned(), attribute_type));
        Ok(())
    }

    fn type_of(json: Json<'_>) -> Result<AttributeType, Misfit> {
        let value = Value::read(json)?;
        let attribute_type = AttributeType::of_value(&value, 0)?;
        Ok(match value {
            Value::M(_) | Value::L(_) => AttributeType::Mixed,
            _ => attribute_type,
        })
    }

    /// Keeps what the record at hand needs.
    pub fn keep(&mut self) {
        for (name, attribute_type) in self.seen.drain(..) {
            match self.attributes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => {
                    *known = std::mem::replace(known, AttributeType::Unknown).merged(attribute_type);
                }
                None => self.attributes.push((name, attribute_type)),
            }
        }
    }

    /// Forgets what the record at hand would have needed.
    pub fn drop_seen(&mut self) {
        self.seen.clear();
    }

    /// Gives the columns to add, in the order in which their attributes were met, and starts anew.
    pub fn take(&mut self) -> Vec<NewColumn> {
        if self.attributes.is_empty() {
            return Vec::new();
        }
        let mut taken = self.existing.clone();
        let column = |(attribute, attribute_type): (String, AttributeType)| NewColumn {
            column: name_column(&attribute, &mut taken),
            attribute,
            data_type: attribute_type.data_type(),
        };
        self.attributes.drain(..).map(column).collect()
    }
}

/// Gives an attribute a column name that is not `taken`, and takes it.
///
/// The common engines see names in lower case only, and those with `_` in front are ours. A second attribute of a name
/// gets a part of the hash of its exact name.
pub(crate) fn name_column(attribute: &str, taken: &mut HashSet<String>) -> String {
    let mut name = attribute.to_lowercase();
    if name.is_empty() || name.starts_with('_') {
        name.insert(0, 'a');
    }
    if taken.contains(&name) {
        let hash = hex(&Sha256::digest(attribute.as_bytes()));
        let plain = name;
        let lengths = (6..=hash.len()).map(|length| format!("{plain}_{}", &hash[..length]));
        name = lengths.into_iter().find(|name| !taken.contains(name)).expect("no two names share all of a hash");
    }
    taken.insert(name.clone());
    name
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
