use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use iceberg::spec::{Datum, NestedField, PrimitiveType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{WrittenFile, write_data_files};
use crate::test_table::{TestTable, column, required};

fn text(id: i32, name: &str) -> NestedField {
    column(id, name, iceberg::spec::Type::Primitive(PrimitiveType::String))
}

fn rows(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().map(|(name, array)| (*name, Arc::clone(array)))).unwrap()
}

/// What the parquet crate reads from a file.
pub(crate) fn read_back(file: &WrittenFile) -> RecordBatch {
    let file = std::fs::File::open(file.path.strip_prefix("file://").unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[tokio::test]
async fn rows_are_where_their_places_say() {
    let table = TestTable::new(vec![required(1, "id", PrimitiveType::Long), text(2, "name")]);
    let batch = |ids: std::ops::Range<i64>| {
        let names: Vec<String> = ids.clone().map(|id| format!("name {id}")).collect();
        rows(&[("id", Arc::new(Int64Array::from_iter_values(ids))), ("name", Arc::new(StringArray::from(names)))])
    };
    let written = write_data_files(&table.table, "one", &[batch(0..10), batch(0..0), batch(10..25)]).await.unwrap();
    assert_eq!(written.files.len(), 1);
    assert_eq!(written.places, (0..25).map(|row| (0, row)).collect::<Vec<_>>());
    let file = &written.files[0];
    assert_eq!(file.path, format!("{}/data/one-00000.parquet", table.table.metadata().location()));
    assert_eq!((file.data_file.record_count(), file.data_file.file_path()), (25, file.path.as_str()));
    assert_eq!(file.data_file.lower_bounds()[&1], Datum::long(0));
    assert_eq!(file.data_file.upper_bounds()[&1], Datum::long(24));
    assert_eq!(read_back(file).columns(), batch(0..25).columns());
}
