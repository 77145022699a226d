//! How the table's columns are laid out in a data file, and rows brought into that layout.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use arrow::record_batch::RecordBatch;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::types::SchemaDescriptor;

use crate::data_file::encode::encode_error;
use crate::error::{Error, ErrorKind, Result};

/// The Arrow schema of a data file: names, order, field ids and nullability are the table's, while strings and bytes
/// keep the Arrow representation that the rows come in, so that dictionaries are not unpacked.
pub(crate) struct FileLayout {
    schema: ArrowSchemaRef,
}

impl FileLayout {
    /// The layout for rows that come as `given`.
    pub(crate) fn new(table: &SchemaRef, given: &ArrowSchema) -> Result<Self> {
        let table = schema_to_arrow_schema(table)
            .map_err(|error| Error::new(ErrorKind::Unexpected, "convert the table's schema").with_source(error))?;
        let fields = table.fields().iter().map(|field| match given.column_with_name(field.name()) {
            Some((_, given)) if is_same_value_type(field.data_type(), given.data_type()) => {
                Arc::new(Field::clone(field).with_data_type(given.data_type().clone()))
            }
            _ => Arc::clone(field),
        });
        Ok(Self { schema: Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>())) })
    }

    pub(crate) fn schema(&self) -> &ArrowSchemaRef {
        &self.schema
    }

    /// What Parquet makes of it.
    pub(crate) fn parquet_schema(&self) -> Result<SchemaDescriptor> {
        ArrowSchemaConverter::new().convert(&self.schema).map_err(encode_error)
    }

    /// Brings `batch` into this layout. `Refused` where it holds what the table cannot.
    pub(crate) fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if let Some(unknown) = batch.schema_ref().fields().iter().find(|f| self.schema.index_of(f.name()).is_err()) {
            return Err(Error::new(ErrorKind::Refused, format!("write column {}: the table has none", unknown.name())));
        }
        let columns = self.schema.fields().iter().map(|field| fit_column(field, batch)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::new(ErrorKind::Refused, "fit rows to the table's schema").with_source(error))
    }
}

fn fit_column(field: &Field, batch: &RecordBatch) -> Result<ArrayRef> {
    let Some(column) = batch.column_by_name(field.name()) else {
        return Ok(new_null_array(field.data_type(), batch.num_rows()));
    };
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    // Nested columns get the table's names and field ids. A value that does not fit is an error, never a null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &options).map_err(|error| {
        Error::new(ErrorKind::Refused, format!("write column {} as {}", field.name(), field.data_type()))
            .with_source(error)
    })
}

/// Tells whether Parquet's writer makes the same bytes of `given` as of the table's own type.
fn is_same_value_type(table: &DataType, given: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Dictionary, LargeBinary, LargeUtf8, Utf8, Utf8View};
    match table {
        Utf8 => match given {
            Utf8 | LargeUtf8 | Utf8View => true,
            Dictionary(_, values) => **values == Utf8,
            _ => false,
        },
        LargeBinary | Binary => matches!(given, LargeBinary | Binary | BinaryView),
        _ => false,
    }
}
