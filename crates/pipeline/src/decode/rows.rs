//! Rows under construction: a record becomes one row of all columns, or nothing.

use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::change::{Operation, Position};
use crate::decode::attributes::Attributes;
use crate::decode::column::Column;
use crate::decode::misfit::{Misfit, Rejection};
use crate::decode::new_columns::NewColumns;
use crate::decode::record::ChangeRecord;
use crate::decode::tape::{Json, Members};
use crate::decode::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::item_key::is_key_type;
use crate::shape::{Mode, OPERATION_COLUMN, POSITION_COLUMN, TIME_COLUMN, TableShape};

pub(crate) struct Rows {
    shape: TableShape,
    columns: Vec<Column>,
    attributes: Attributes,
    /// The columns of the key attributes, in the order of the key.
    keys: Vec<usize>,
    is_key: Vec<bool>,
    is_required: Vec<bool>,
    metadata: Vec<(usize, Metadata)>,
    len: usize,
}

#[derive(Clone, Copy)]
enum Metadata {
    Operation,
    Position,
    Time,
}

impl Rows {
    pub fn new(shape: &TableShape) -> Result<Self> {
        let misconfigured = |message: String| Error::new(ErrorKind::Misconfigured, message);
        let fields = shape.schema.fields();
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            columns.push(Column::new(field.data_type(), shape.fit()).ok_or_else(|| {
                misconfigured(format!("fill column `{}`: no attribute has type {}", field.name(), field.data_type()))
            })?);
        }
        let keys = shape.key_columns().ok_or_else(|| {
            misconfigured(format!("find a column for each key attribute of `{}`", shape.key_attributes.join("`, `")))
        })?;
        if let Some(&key) = keys.iter().find(|&&key| !is_key_type(fields[key].data_type())) {
            let (name, data_type) = (fields[key].name(), fields[key].data_type());
            return Err(misconfigured(format!("identify items by column `{name}` of type {data_type}")));
        }
        let is_required: Vec<bool> = fields.iter().map(|field| !field.is_nullable()).collect();
        let of_item = |column: &usize| shape.attributes[*column].is_some() && !keys.contains(column);
        if let (Mode::Changelog, Some(column)) =
            (shape.mode, (0..fields.len()).filter(of_item).find(|&column| is_required[column]))
        {
            let name = fields[column].name();
            return Err(misconfigured(format!("keep removed items, which have keys only, with `{name}` required")));
        }
        let metadata = fields.iter().enumerate().filter_map(|(column, field)| {
            let metadata = match field.name().as_str() {
                OPERATION_COLUMN => Metadata::Operation,
                POSITION_COLUMN => Metadata::Position,
                TIME_COLUMN => Metadata::Time,
                _ => return None,
            };
            shape.attributes[column].is_none().then_some((column, metadata))
        });
        Ok(Self {
            metadata: metadata.collect(),
            attributes: Attributes::new(shape),
            is_key: (0..columns.len()).map(|column| keys.contains(&column)).collect(),
            is_required,
            keys,
            columns,
            shape: shape.clone(),
            len: 0,
        })
    }

    pub fn has_metadata(&self) -> bool {
        !self.metadata.is_empty()
    }

    /// Adds the row of one change, and to `new_columns` what attributes without a column need. On an error nothing is
    /// added to either.
    pub fn push(
        &mut self,
        record: &ChangeRecord<'_>,
        position: &Position,
        new_columns: &mut NewColumns,
    ) -> Result<(), Rejection> {
        let pushed = self.try_push(record, position, new_columns);
        match pushed {
            Ok(()) => {
                self.len += 1;
                new_columns.keep();
            }
            Err(_) => {
                self.columns.iter_mut().for_each(|column| column.truncate(self.len));
                new_columns.drop_seen();
            }
        }
        pushed
    }

    fn try_push(
        &mut self,
        record: &ChangeRecord<'_>,
        position: &Position,
        new_columns: &mut NewColumns,
    ) -> Result<(), Rejection> {
        if !self.is_keyless(record) {
            self.push_keys(record.keys.clone())?;
        }
        self.push_metadata(record, position);
        for (name, json) in record.new_image.clone().into_iter().flatten() {
            match self.attributes.column_of(name) {
                // What identifies the item was taken from the record's keys.
                Some(column) if self.is_key[column] && !self.is_keyless(record) => {}
                Some(column) => self.push_attribute(column, name, json)?,
                None => new_columns.see(name, json)?,
            }
        }
        let has_keys_only = record.operation == Operation::Remove && self.shape.mode != Mode::Changelog;
        for (column, is_required) in self.is_required.iter().enumerate() {
            if self.columns[column].len() == self.len {
                if *is_required && !has_keys_only {
                    let name = self.shape.schema.field(column).name();
                    return Err(Rejection::new("DYN409", format!("column `{name}` must have a value")));
                }
                self.columns[column].push_null();
            }
        }
        Ok(())
    }

    /// A row that is added whatever the table holds need not have a key.
    fn is_keyless(&self, record: &ChangeRecord<'_>) -> bool {
        self.shape.mode == Mode::Operations && record.operation == Operation::Insert
    }

    fn push_keys(&mut self, keys: Members<'_>) -> Result<(), Rejection> {
        let other_key = || Rejection::new("DYN403", "the record's keys are not the key attributes of the table");
        if keys.len() != self.keys.len() {
            return Err(other_key());
        }
        for (name, json) in keys {
            let key = self.shape.key_attributes.iter().position(|key| key == name).ok_or_else(other_key)?;
            let of_key = |misfit: Misfit| Rejection { code: "DYN403", ..Rejection::of_attribute(name, misfit) };
            let value = Value::read(json).map_err(of_key)?;
            if !matches!(value, Value::S(_) | Value::N(_) | Value::B(_)) {
                return Err(of_key(Misfit::WrongType(value.tag())));
            }
            self.columns[self.keys[key]].push(&value, 0).map_err(of_key)?;
        }
        let is_complete = self.keys.iter().all(|&column| self.columns[column].len() == self.len + 1);
        if is_complete { Ok(()) } else { Err(other_key()) }
    }

    fn push_attribute(&mut self, column: usize, name: &str, json: Json<'_>) -> Result<(), Rejection> {
        let target = &mut self.columns[column];
        if target.len() > self.len {
            let reason = format!("attribute `{name}` shares column `{}` with another attribute of the item", {
                self.shape.schema.field(column).name()
            });
            return Err(Rejection::new("DYN407", reason));
        }
        let pushed = Value::read(json).and_then(|value| match value {
            Value::Null if self.is_required[column] => Err(Misfit::Null),
            value => target.push(&value, 0),
        });
        pushed.map_err(|misfit| Rejection::of_attribute(name, misfit))
    }

    fn push_metadata(&mut self, record: &ChangeRecord<'_>, position: &Position) {
        for &(column, metadata) in &self.metadata {
            let column = &mut self.columns[column];
            match (metadata, record.created_us) {
                (Metadata::Operation, _) => column.push_text(record.operation.as_str()),
                (Metadata::Position, _) => column.push_text(&position.to_string()),
                (Metadata::Time, Some(created_us)) => column.push_time(created_us),
                (Metadata::Time, None) => {}
            }
        }
    }

    /// Gives the rows, and starts anew.
    pub fn finish(&mut self) -> RecordBatch {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.len));
        self.len = 0;
        RecordBatch::try_new_with_options(self.shape.working_schema(), arrays, &options)
            .expect("every column has the type of its field and one value a row")
    }
}
