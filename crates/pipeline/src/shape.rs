//! What a target table looks like to the decoder: its columns and the attributes that fill them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// What the table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One row per item: the table equals the DynamoDB table.
    #[default]
    Mirror,
    /// One row per change, with `_op`, `_position` and `_time`.
    Changelog,
    /// A record says itself what it does: INSERT adds a row, whether or not there is one of its key; MODIFY puts its row
    /// in the place of all rows of its key; REMOVE deletes them.
    Operations,
}

/// The columns of a target table, in the table's order.
#[derive(Clone, Debug)]
pub struct TableShape {
    pub mode: Mode,
    /// Types as Parquet files of the table have them, with `PARQUET:field_id` in each field's metadata.
    pub schema: SchemaRef,
    /// For each column the exact name of its attribute; `None` for the metadata columns of a changelog.
    pub attributes: Vec<Option<String>>,
    /// The key attributes of the DynamoDB table, partition key first.
    pub key_attributes: Vec<String>,
    /// Whether an attribute without a column gets one. Otherwise it is left out.
    pub evolve: bool,
    /// Whether these are the columns of `changes`, from which a transform makes those of the table.
    pub(crate) is_input: bool,
}

/// How closely values must fit the columns they go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The table is a user's: what its columns have no place for is left out, and text is text.
    Exact,
    /// The table is ours to shape, and holds everything: text takes every type of value, as its text.
    Everything,
    /// As `Exact`, and a number is the microseconds of a timestamp: plain JSON, as Data Firehose takes it.
    Plain,
    /// A transform chooses: text takes every type of value, and what nobody asks for is left out.
    Chosen,
}

impl Fit {
    pub fn text_takes_all(self) -> bool {
        !matches!(self, Self::Exact | Self::Plain)
    }
}

/// A column to add for an attribute seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewColumn {
    pub attribute: String,
    pub column: String,
    pub data_type: DataType,
}

/// The columns that every change has in a changelog.
pub(crate) const OPERATION_COLUMN: &str = "_op";
pub(crate) const POSITION_COLUMN: &str = "_position";
pub(crate) const TIME_COLUMN: &str = "_time";

const DOC: &str = "doc";
const ATTRIBUTE_DOC: &str = "dynamodb attribute: ";

impl TableShape {
    /// Maps the columns of a table to attributes. A column whose doc names its attribute holds that one. Any other
    /// column, as in a table that a user made, holds the attribute of its name, in any case: the exact name first.
    /// Columns that begin with `_` are ours. Where records say what they do, names are exact and all columns theirs.
    pub fn from_table(schema: SchemaRef, key_attributes: Vec<String>, mode: Mode, evolve: bool) -> Self {
        let attributes = schema.fields().iter().map(|field| match attribute_of(field) {
            Some(attribute) => Some(attribute.to_owned()),
            None if field.name().starts_with('_') && mode != Mode::Operations => None,
            None => Some(field.name().clone()),
        });
        Self { mode, attributes: attributes.collect(), schema, key_attributes, evolve, is_input: false }
    }

    /// The columns of a table whose rows a transform makes. The names of the columns are all that counts, and no
    /// attribute adds one. `keys` are the columns that identify a row.
    pub fn of_transformed(schema: SchemaRef, keys: Vec<String>, mode: Mode) -> Self {
        let attributes = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
        Self { mode, attributes, schema, key_attributes: keys, evolve: false, is_input: false }
    }

    /// The columns of `changes`: attributes under their exact names, and the metadata columns.
    pub(crate) fn of_changes(schema: SchemaRef, key_attributes: Vec<String>) -> Self {
        let attributes = schema.fields().iter().map(|field| attribute_of(field).map(str::to_owned)).collect();
        Self { mode: Mode::Mirror, attributes, schema, key_attributes, evolve: false, is_input: true }
    }

    pub(crate) fn fit(&self) -> Fit {
        match (self.is_input, self.evolve) {
            (true, _) => Fit::Chosen,
            (false, true) => Fit::Everything,
            (false, false) if self.mode == Mode::Operations => Fit::Plain,
            (false, false) => Fit::Exact,
        }
    }

    /// Where the columns of the key attributes stand, in the order of the key. `None` where one has no column.
    pub(crate) fn key_columns(&self) -> Option<Vec<usize>> {
        let is_exact = |column: usize, key: &String| self.attributes[column].as_ref() == Some(key);
        let takes_any_case = |column: usize, key: &String| {
            let named = self.attributes[column].as_ref().filter(|_| attribute_of(self.schema.field(column)).is_none());
            named.is_some_and(|name| name.to_lowercase() == key.to_lowercase())
        };
        let columns = 0..self.attributes.len();
        let column_of = |key: &String| {
            let exact = columns.clone().find(|&column| is_exact(column, key));
            exact.or_else(|| columns.clone().find(|&column| takes_any_case(column, key)))
        };
        self.key_attributes.iter().map(column_of).collect()
    }

    /// The schema of a working batch, where a removed item has its keys only: every column may be null.
    pub(crate) fn working_schema(&self) -> SchemaRef {
        let fields = self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
    }
}

/// The doc of the column that holds `attribute`, from which [`TableShape::from_table`] knows it again.
pub fn attribute_doc(attribute: &str) -> String {
    format!("{ATTRIBUTE_DOC}{attribute}")
}

/// A field with the attribute that it holds in its doc.
pub(crate) fn described(name: &str, attribute: &str, data_type: DataType, nullable: bool) -> Field {
    Field::new(name, data_type, nullable).with_metadata([(DOC.to_owned(), attribute_doc(attribute))].into())
}

/// The attribute that a column's doc names.
pub(crate) fn attribute_of(field: &Field) -> Option<&str> {
    field.metadata().get(DOC)?.strip_prefix(ATTRIBUTE_DOC)
}
