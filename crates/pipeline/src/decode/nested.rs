//! Columns of maps with known members, of lists and of sets.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{FieldRef, Fields};

use crate::decode::column::Column;
use crate::decode::misfit::Misfit;
use crate::decode::set::sorted_set;
use crate::decode::tape::{Elements, Json, Members};
use crate::decode::value::{SetOf, Value};
use crate::shape::{Fit, attribute_of};

/// DynamoDB nests maps and lists this deep.
pub(crate) const DEPTH_MAX: usize = 32;

pub(crate) fn check_depth(depth: usize) -> Result<(), Misfit> {
    if depth > DEPTH_MAX { Err(Misfit::TooDeep) } else { Ok(()) }
}

/// Maps whose members are known.
pub(crate) struct StructColumn {
    fields: Fields,
    children: Vec<Column>,
    len: usize,
    fit: Fit,
}

impl StructColumn {
    pub fn new(fields: &Fields, fit: Fit) -> Option<Self> {
        let children = fields.iter().map(|field| Column::new(field.data_type(), fit)).collect::<Option<_>>()?;
        Some(Self { fields: fields.clone(), children, len: 0, fit })
    }

    pub fn push(&mut self, members: Members<'_>, depth: usize) -> Result<(), Misfit> {
        check_depth(depth)?;
        for (name, value) in members {
            let Some(child) = self.child_of(name) else {
                // A table of a fixed shape leaves out what it has no place for, here as at the top. In a table that
                // holds everything, dropping the member would be a loss that nobody sees.
                if self.fit == Fit::Everything {
                    return Err(Misfit::UnknownMember);
                }
                continue;
            };
            let is_second = self.children[child].len() > self.len;
            if is_second {
                return Err(Misfit::NotAValue);
            }
            self.children[child].push(&read(value, &self.fields[child])?, depth)?;
        }
        for (child, field) in self.children.iter_mut().zip(&self.fields) {
            if child.len() == self.len {
                if !field.is_nullable() {
                    return Err(Misfit::Null);
                }
                child.push_null();
            }
        }
        self.len += 1;
        Ok(())
    }

    /// The exact name first, then the same name in other cases.
    fn child_of(&self, name: &str) -> Option<usize> {
        let exact = self.fields.iter().position(|field| attribute_of(field).unwrap_or(field.name()) == name);
        exact.or_else(|| {
            let folds = |field: &FieldRef| attribute_of(field).is_none() && field.name().eq_ignore_ascii_case(name);
            self.fields.iter().position(folds)
        })
    }

    pub fn push_filler(&mut self) {
        self.children.iter_mut().for_each(Column::push_null);
        self.len += 1;
    }

    pub fn truncate(&mut self, len: usize) {
        self.children.iter_mut().for_each(|child| child.truncate(len));
        self.len = len.min(self.len);
    }

    pub fn finish(&mut self, len: usize, nulls: Option<NullBuffer>) -> ArrayRef {
        self.len = 0;
        let children: Vec<ArrayRef> = self.children.iter_mut().map(Column::finish).collect();
        if children.is_empty() {
            return Arc::new(StructArray::new_empty_fields(len, nulls));
        }
        Arc::new(StructArray::new(self.fields.clone(), children, nulls))
    }
}

/// Lists, and sets as sorted lists of distinct values.
pub(crate) struct ListColumn {
    element: FieldRef,
    child: Box<Column>,
    ends: Vec<i32>,
}

impl ListColumn {
    pub fn new(element: &FieldRef, fit: Fit) -> Option<Self> {
        let child = Box::new(Column::new(element.data_type(), fit)?);
        Some(Self { element: element.clone(), child, ends: Vec::new() })
    }

    pub fn push(&mut self, elements: Elements<'_>, depth: usize) -> Result<(), Misfit> {
        check_depth(depth)?;
        for element in elements {
            self.child.push(&read(element, &self.element)?, depth)?;
        }
        self.push_empty();
        Ok(())
    }

    pub fn push_set(&mut self, of: SetOf, elements: Elements<'_>, depth: usize) -> Result<(), Misfit> {
        for value in sorted_set(of, elements)? {
            self.child.push(&value, depth)?;
        }
        self.push_empty();
        Ok(())
    }

    /// Ends a list here.
    pub fn push_empty(&mut self) {
        self.ends.push(self.child.len() as i32);
    }

    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.child.truncate(last_end(&self.ends));
    }

    pub fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = take_offsets(&mut self.ends);
        Arc::new(ListArray::new(self.element.clone(), offsets, self.child.finish(), nulls))
    }
}

/// Reads a value that is to go into `field`.
pub(crate) fn read<'t>(json: Json<'t>, field: &FieldRef) -> Result<Value<'t>, Misfit> {
    match Value::read(json)? {
        Value::Null if !field.is_nullable() => Err(Misfit::Null),
        value => Ok(value),
    }
}

/// Where the values behind the last list begin.
pub(crate) fn last_end(ends: &[i32]) -> usize {
    ends.last().map_or(0, |end| *end as usize)
}

pub(crate) fn take_offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let offsets: Vec<i32> = std::iter::once(0).chain(ends.drain(..)).collect();
    OffsetBuffer::new(offsets.into())
}

#[cfg(test)]
mod tests;
