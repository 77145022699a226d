//! Rows sorted by the partition they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray, UInt64Array};
use arrow::compute::{cast, interleave_record_batch, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use iceberg::arrow::{PartitionValueCalculator, arrow_struct_to_literal};
use iceberg::spec::{Literal, PartitionSpec, SchemaRef, Struct};

use crate::error::{Error, ErrorKind, Result};

/// Rows gathered at one time, so that a partition's rows are never all copied at once.
const ROWS_PER_CHUNK_MAX: usize = 16_384;

pub(crate) struct RowGroups {
    /// In the order in which their first rows come.
    pub(crate) groups: Vec<RowGroup>,
    /// How many rows come before each batch.
    pub(crate) first_row_of_batch: Vec<usize>,
}

/// The rows of one partition as (batch, row), in order.
pub(crate) struct RowGroup {
    pub(crate) partition: Struct,
    rows: Vec<(usize, usize)>,
}

pub(crate) struct Chunk<'a> {
    pub(crate) rows: &'a [(usize, usize)],
    pub(crate) batch: Result<RecordBatch>,
}

impl RowGroup {
    pub(crate) fn chunks<'a>(&'a self, batches: &'a [RecordBatch]) -> impl Iterator<Item = Chunk<'a>> {
        let all: Vec<&RecordBatch> = batches.iter().collect();
        self.rows
            .chunks(ROWS_PER_CHUNK_MAX)
            .map(move |rows| Chunk { rows, batch: interleave_record_batch(&all, rows).map_err(partition_error) })
    }
}

/// Sorts the rows of `batches`, whose columns are those of `schema` in order, by their partition under `spec`.
pub(crate) fn group_by_partition(
    schema: &SchemaRef,
    spec: &PartitionSpec,
    batches: &[RecordBatch],
) -> Result<RowGroups> {
    let calculator = PartitionValueCalculator::try_new(spec, schema).map_err(partition_error)?;
    let DataType::Struct(fields) = calculator.partition_arrow_type() else {
        unreachable!("a partition value is a struct");
    };
    let sort_fields = fields.iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(sort_fields).map_err(partition_error)?;

    let mut group_of: HashMap<OwnedRow, usize> = HashMap::new();
    let mut groups: Vec<RowGroup> = Vec::new();
    let mut first_row_of_batch = Vec::with_capacity(batches.len());
    let mut row_count = 0;
    for (batch_index, batch) in batches.iter().enumerate() {
        first_row_of_batch.push(row_count);
        row_count += batch.num_rows();
        let values = calculator.calculate(&with_plain_columns(batch)?).map_err(partition_error)?;
        let value_columns = values.as_any().downcast_ref::<StructArray>().expect("partition values are structs");
        let rows = converter.convert_columns(value_columns.columns()).map_err(partition_error)?;
        for (row_index, row) in rows.iter().enumerate() {
            // Neighbours mostly share a partition; this look-up copies a few bytes per row.
            let group = match group_of.get(&row.owned()) {
                Some(&group) => group,
                None => {
                    groups.push(RowGroup { partition: literal_at(&values, row_index, &calculator)?, rows: Vec::new() });
                    group_of.insert(row.owned(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            groups[group].rows.push((batch_index, row_index));
        }
    }
    Ok(RowGroups { groups, first_row_of_batch })
}

/// iceberg's transforms know the table's own Arrow types only: no dictionaries, no views.
fn with_plain_columns(batch: &RecordBatch) -> Result<RecordBatch> {
    let plain = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Dictionary(_, _) | DataType::LargeUtf8 | DataType::Utf8View => cast(column, &DataType::Utf8),
        DataType::Binary | DataType::BinaryView => cast(column, &DataType::LargeBinary),
        _ => Ok(Arc::clone(column)),
    });
    let plain = plain.collect::<Result<Vec<_>, _>>().map_err(partition_error)?;
    let named = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(&plain)
        .map(|(field, column)| arrow::datatypes::Field::clone(field).with_data_type(column.data_type().clone()));
    let schema = arrow::datatypes::Schema::new(named.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), plain).map_err(partition_error)
}

fn literal_at(values: &ArrayRef, row: usize, calculator: &PartitionValueCalculator) -> Result<Struct> {
    let one = take(values, &UInt64Array::from(vec![row as u64]), None).map_err(partition_error)?;
    let literals = arrow_struct_to_literal(&one, calculator.partition_type()).map_err(partition_error)?;
    match literals.into_iter().next() {
        Some(Some(Literal::Struct(partition))) => Ok(partition),
        _ => Err(Error::new(ErrorKind::Unexpected, "read a partition value")),
    }
}

fn partition_error(error: impl Into<PartitionError>) -> Error {
    Error::new(ErrorKind::Unexpected, "sort rows into partitions").with_source(error.into().0)
}

/// Both Arrow and iceberg can fail here.
struct PartitionError(Box<dyn std::error::Error + Send + Sync>);

impl From<ArrowError> for PartitionError {
    fn from(error: ArrowError) -> Self {
        Self(error.into())
    }
}

impl From<iceberg::Error> for PartitionError {
    fn from(error: iceberg::Error) -> Self {
        Self(error.into())
    }
}
