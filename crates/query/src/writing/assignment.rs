//! Which columns of a table a query's columns go into, and whether they may.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{EXECUTION, Error, MEANING, NO_SUCH_COLUMN, Result};
use crate::functions::trino_name;

pub(super) struct Assignment {
    /// The query's columns under the names of the table's.
    schema: SchemaRef,
}

impl Assignment {
    /// `columns` are those that the statement names; all of the table's if it names none.
    pub(super) fn new(table: &Schema, columns: &[String], query: &Schema) -> Result<Self> {
        let find = |name: &String| {
            let found = table.fields().iter().find(|field| field.name().eq_ignore_ascii_case(name));
            found.ok_or_else(|| Error::new(NO_SUCH_COLUMN, format!("the table has no column {name}")))
        };
        let targets: Vec<&Arc<Field>> = match columns {
            [] => table.fields().iter().collect(),
            named => named.iter().map(find).collect::<Result<_>>()?,
        };
        if targets.len() != query.fields().len() {
            let (wanted, given) = (targets.len(), query.fields().len());
            let error = Error::new(MEANING, format!("{wanted} columns are to be filled, and the query has {given}"));
            return Err(error.with_help("INSERT INTO table (column, …) SELECT …"));
        }
        let mut fields = Vec::with_capacity(targets.len());
        for (target, given) in targets.into_iter().zip(query.fields()) {
            if !takes(target.data_type(), given.data_type()) {
                let (wanted, found) = (trino_name(target.data_type()), trino_name(given.data_type()));
                let message = format!("column {} is of type {wanted}, and the query has {found} for it", target.name());
                return Err(Error::new(MEANING, message).with_help(format!("CAST(… AS {wanted})")));
            }
            fields.push(Field::new(target.name(), given.data_type().clone(), true));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }

    /// Rows in all columns of `table`, of its types. What is not assigned is NULL.
    pub(super) fn fitted(&self, batch: &RecordBatch, table: &SchemaRef) -> Result<RecordBatch> {
        let named = self.named(batch);
        let column = |field: &Arc<Field>| match named.column_by_name(field.name()) {
            Some(column) => {
                cast_with_options(column, field.data_type(), &CastOptions { safe: false, ..Default::default() })
            }
            None => Ok(new_null_array(field.data_type(), named.num_rows())),
        };
        let columns = table.fields().iter().map(column).collect::<Result<Vec<_>, _>>();
        let fitted = columns.and_then(|columns| RecordBatch::try_new(table.clone(), columns));
        fitted.map_err(|error| Error::new(EXECUTION, error.to_string()))
    }

    pub(super) fn named(&self, batch: &RecordBatch) -> RecordBatch {
        let renamed = RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec());
        renamed.expect("the query gives columns of its own types")
    }
}

/// Tells whether every value of a type is one of the column's, or is refused by itself: what does not fit a smaller
/// number is an error, never another number. As in Trino, text is not taken for anything else.
fn takes(column: &DataType, given: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Date64, Decimal128, Decimal256, Dictionary, FixedSizeList, Float32, Float64, Int32, Int64,
        LargeList, List, ListView, Map, Null, Struct, Time32, Time64, Timestamp,
    };
    match (column, given) {
        (_, Null) => true,
        (column, Dictionary(_, given)) => takes(column, given),
        (Int32 | Int64, given) => given.is_integer(),
        (Float32 | Float64, given) => given.is_numeric(),
        (Decimal128(..), Decimal128(..) | Decimal256(..)) => true,
        (Decimal128(..), given) => given.is_integer(),
        (Boolean, Boolean) | (Date32, Date32 | Date64) | (Time64(_), Time32(_) | Time64(_)) => true,
        (Timestamp(_, None), Timestamp(_, None) | Date32) => true,
        (Timestamp(_, Some(_)), Timestamp(_, Some(_))) => true,
        (List(element), List(given) | LargeList(given) | FixedSizeList(given, _) | ListView(given)) => {
            takes(element.data_type(), given.data_type())
        }
        (Struct(fields), Struct(given)) => {
            let pairs = || fields.iter().zip(given);
            fields.len() == given.len() && pairs().all(|(field, given)| takes(field.data_type(), given.data_type()))
        }
        (Map(entries, _), Map(given, _)) => takes(entries.data_type(), given.data_type()),
        (column, given) if is_text(column) => is_text(given),
        (column, given) => is_bytes(column) && is_bytes(given),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(data_type, Binary | BinaryView | FixedSizeBinary(_) | LargeBinary)
}
