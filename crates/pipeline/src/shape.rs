//! What a target table looks like to the decoder: its columns and the attributes that fill them.

use arrow::datatypes::{DataType, SchemaRef};

/// What the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One row per item: the table equals the DynamoDB table.
    Mirror,
    /// One row per change, with `_op`, `_position` and `_time`.
    Changelog,
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
}

/// A column to add for an attribute seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewColumn {
    pub attribute: String,
    pub column: String,
    pub data_type: DataType,
}
