//! Columns of maps with any members.

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};

use crate::decode::column::Column;
use crate::decode::misfit::Misfit;
use crate::decode::nested::{check_depth, last_end, read, take_offsets};
use crate::decode::tape::Members;
use crate::shape::Fit;

/// Maps whose members all have one type.
pub(crate) struct MapColumn {
    entries: FieldRef,
    fields: Fields,
    keys: Box<Column>,
    values: Box<Column>,
    ends: Vec<i32>,
    sorted: bool,
}

impl MapColumn {
    pub fn new(entries: &FieldRef, sorted: bool, fit: Fit) -> Option<Self> {
        let DataType::Struct(fields) = entries.data_type() else { return None };
        let [key, value] = fields.as_ref() else { return None };
        let keys_are_text = matches!(key.data_type(), DataType::Utf8 | DataType::LargeUtf8);
        keys_are_text.then_some(Self {
            entries: entries.clone(),
            fields: fields.clone(),
            keys: Box::new(Column::new(key.data_type(), fit)?),
            values: Box::new(Column::new(value.data_type(), fit)?),
            ends: Vec::new(),
            sorted,
        })
    }

    pub fn push(&mut self, members: Members<'_>, depth: usize) -> Result<(), Misfit> {
        check_depth(depth)?;
        let mut members: Vec<_> = members.collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in members {
            self.keys.push_text(name);
            self.values.push(&read(value, &self.fields[1])?, depth)?;
        }
        self.push_empty();
        Ok(())
    }

    /// Ends a map here.
    pub fn push_empty(&mut self) {
        self.ends.push(self.values.len() as i32);
    }

    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.keys.truncate(last_end(&self.ends));
        self.values.truncate(last_end(&self.ends));
    }

    pub fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = take_offsets(&mut self.ends);
        let children = vec![self.keys.finish(), self.values.finish()];
        let entries = StructArray::new(self.fields.clone(), children, None);
        Arc::new(MapArray::new(self.entries.clone(), offsets, entries, nulls, self.sorted))
    }
}
