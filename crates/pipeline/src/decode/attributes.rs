//! Which column an attribute goes to, nearly always without hashing its name.

use std::collections::HashMap;

use crate::shape::{Mode, TableShape, attribute_of};

/// How many attribute names are remembered. More are still found, only slower.
const KNOWN_MAX: usize = 4096;

/// The columns by attribute name.
pub(crate) struct Attributes {
    known: Vec<Known>,
    by_name: HashMap<Box<str>, usize>,
    /// Columns that take their name in any case, by their name in lower case.
    by_folded_name: HashMap<String, usize>,
    last: usize,
}

struct Known {
    name: Box<str>,
    column: Option<usize>,
    /// The attribute that came after this one the last time: items of a table tend to list theirs in one order.
    next: usize,
}

impl Attributes {
    pub fn new(shape: &TableShape) -> Self {
        let mut attributes =
            Self { known: Vec::new(), by_name: HashMap::new(), by_folded_name: HashMap::new(), last: 0 };
        for (column, name) in shape.attributes.iter().enumerate() {
            let Some(name) = name else { continue };
            attributes.remember(name, Some(column));
            let takes_any_case = shape.mode != Mode::Operations && attribute_of(shape.schema.field(column)).is_none();
            if takes_any_case {
                attributes.by_folded_name.insert(name.to_lowercase(), column);
            }
        }
        attributes
    }

    /// The column of an attribute; `None` where it has none.
    pub fn column_of(&mut self, name: &str) -> Option<usize> {
        let guess = self.known.get(self.last)?.next;
        let known = match self.known.get(guess) {
            Some(known) if *known.name == *name => guess,
            _ => match self.by_name.get(name) {
                Some(&known) => known,
                None if self.known.len() < KNOWN_MAX => self.remember(name, self.fold(name)),
                None => return self.fold(name),
            },
        };
        self.known[self.last].next = known;
        self.last = known;
        self.known[known].column
    }

    fn fold(&self, name: &str) -> Option<usize> {
        self.by_folded_name.get(&name.to_lowercase()).copied()
    }

    fn remember(&mut self, name: &str, column: Option<usize>) -> usize {
        let index = self.known.len();
        self.known.push(Known { name: name.into(), column, next: index + 1 });
        self.by_name.insert(name.into(), index);
        index
    }
}
