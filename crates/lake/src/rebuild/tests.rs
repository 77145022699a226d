use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, PrimitiveType, Transform, Type};
use tempfile::TempDir;
use uuid::Uuid;

use super::{NO_SNAPSHOT, rebase, rebuild};
use crate::data_file::{WrittenFile, WrittenRows, write_data_files};
use crate::error::ErrorKind;
use crate::key::hash_keys;
use crate::key_index::KeyIndex;
use crate::position_deletes::{DeletedRows, write_position_deletes};
use crate::test_table::{TestTable, column, required};

fn table() -> TestTable {
    let columns = vec![
        required(1, "shop", PrimitiveType::String),
        required(2, "id", PrimitiveType::Long),
        column(3, "note", Type::Primitive(PrimitiveType::String)),
    ];
    TestTable::partitioned(columns, &[(2, Transform::Bucket(3))])
}

fn items(ids: &[i64]) -> RecordBatch {
    let shops: ArrayRef = Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("shop {}", id % 7))));
    let notes: ArrayRef = Arc::new(StringArray::from_iter(ids.iter().map(|id| (id % 2 == 0).then(|| id.to_string()))));
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter([("shop", shops), ("id", ids), ("note", notes)]).unwrap()
}

fn key_columns() -> Vec<String> {
    vec!["shop".to_owned(), "id".to_owned()]
}

fn keys(ids: &[i64]) -> Vec<u128> {
    hash_keys(&items(ids).columns()[..2]).unwrap()
}

fn index() -> (TempDir, KeyIndex) {
    let dir = TempDir::new().unwrap();
    let index = KeyIndex::open(dir.path(), Uuid::from_u128(1)).unwrap();
    (dir, index)
}

async fn add(table: &mut TestTable, prefix: &str, ids: &[i64]) -> WrittenRows {
    let written = write_data_files(&table.table, prefix, &[items(ids)]).await.unwrap();
    table.commit(&written.files, &[]).await;
    written
}

fn deletion(file: &WrittenFile, positions: Vec<u64>) -> DeletedRows {
    let partition = file.data_file.partition().clone();
    DeletedRows { data_file_path: file.path.clone(), spec_id: file.spec_id, partition, positions }
}

/// Each live id with the file and position where the index has it.
fn located(index: &KeyIndex, ids: &[i64]) -> BTreeMap<i64, (String, u64)> {
    let places = index.locate(&keys(ids));
    let found = ids.iter().zip(places).filter_map(|(id, place)| Some((*id, place?)));
    found.map(|(id, place)| (id, (index.file(place.file).path.clone(), place.row))).collect()
}

fn written_places<'a>(ids: &'a [i64], rows: &'a WrittenRows) -> impl Iterator<Item = (i64, (String, u64))> {
    ids.iter().zip(&rows.places).map(|(id, (file, row))| (*id, (rows.files[*file as usize].path.clone(), *row)))
}

#[tokio::test]
async fn a_table_without_a_snapshot_gives_a_clean_empty_index() {
    let (_dir, mut index) = index();
    rebuild(&table().table, &key_columns(), &mut index).await.unwrap();
    assert_eq!((index.marker(), index.len()), (Some(NO_SNAPSHOT), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_holds_the_live_rows_of_the_head_and_no_others() {
    let mut table = table();
    let first: Vec<i64> = (0..1000).collect();
    let second: Vec<i64> = (500..1200).collect();
    let rows = add(&mut table, "first", &first).await;
    // The rows that the second commit replaces, and id 3, which is deleted.
    let deletes = rows.files.iter().zip(0..).map(|(file, number)| {
        let gone = rows.places.iter().zip(&first).filter(|((of, _), id)| *of == number && (**id >= 500 || **id == 3));
        deletion(file, gone.map(|((_, row), _)| *row).collect())
    });
    let deletes = write_position_deletes(&table.table, "second", deletes.collect()).await.unwrap();
    let new_rows = write_data_files(&table.table, "second", &[items(&second)]).await.unwrap();
    let head = table.commit(&new_rows.files, &deletes).await;

    let (_dir, mut index) = index();
    index.clear().unwrap();
    let stale = index.add_files(vec![]).unwrap();
    assert!(stale.is_empty());
    rebuild(&table.table, &key_columns(), &mut index).await.unwrap();

    let mut expected: BTreeMap<i64, (String, u64)> = written_places(&first, &rows).collect();
    expected.extend(written_places(&second, &new_rows));
    expected.remove(&3);
    let all: Vec<i64> = (-5..1300).collect();
    assert_eq!(located(&index, &all), expected);
    assert_eq!((index.marker(), index.len()), (Some(head), 1199));
    for place in index.locate(&keys(&[7])).into_iter().flatten() {
        let file = rows.files.iter().find(|file| file.path == index.file(place.file).path).unwrap();
        assert_eq!(index.file(place.file).partition, *file.data_file.partition());
    }

    // iceberg's own reader sees the same rows.
    let scan = table.table.scan().select(["id"]).build().unwrap().to_arrow().await.unwrap();
    let batches: Vec<RecordBatch> = scan.try_collect().await.unwrap();
    let mut ids: Vec<i64> =
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    ids.sort_unstable();
    assert_eq!(ids, expected.into_keys().collect::<Vec<_>>());
}

/// A table of which the index knows files `a` (rows 1 to 4, of which 2 is deleted) and `b` (rows 5 and 6).
async fn indexed_table() -> (TestTable, [WrittenRows; 2], TempDir, KeyIndex) {
    let columns = vec![
        required(1, "shop", PrimitiveType::String),
        required(2, "id", PrimitiveType::Long),
        column(3, "note", Type::Primitive(PrimitiveType::String)),
    ];
    let mut table = TestTable::new(columns);
    let a = add(&mut table, "a", &[1, 2, 3, 4]).await;
    let deletes = write_position_deletes(&table.table, "d", vec![deletion(&a.files[0], vec![1])]).await.unwrap();
    table.commit(&[], &deletes).await;
    let b = add(&mut table, "b", &[5, 6]).await;
    let (dir, mut index) = index();
    rebuild(&table.table, &key_columns(), &mut index).await.unwrap();
    (table, [a, b], dir, index)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_compaction_only_the_new_files_are_read() {
    let (mut table, [a, b], _dir, mut index) = indexed_table().await;
    let new = write_data_files(&table.table, "new", &[items(&[4, 3, 1])]).await.unwrap();
    let head = table.replace(&[&a.files[0].path], &new.files, &[]).await;
    // A file that need not be read need not be there.
    std::fs::remove_file(b.files[0].path.strip_prefix("file://").unwrap()).unwrap();

    assert!(rebase(&table.table, &key_columns(), &mut index).await.unwrap());
    let expected: BTreeMap<i64, (String, u64)> =
        written_places(&[4, 3, 1], &new).chain(written_places(&[5, 6], &b)).collect();
    assert_eq!(located(&index, &(0..10).collect::<Vec<_>>()), expected);
    assert_eq!((index.marker(), index.len(), index.files().count()), (Some(head), 5, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_lost_gained_or_changed_rows_is_not_believed() {
    for rows in [&[1, 3][..], &[1, 3, 4, 7], &[1, 3, 7], &[1, 3, 4, 5]] {
        let (mut table, [a, _], _dir, mut index) = indexed_table().await;
        let new = write_data_files(&table.table, "new", &[items(rows)]).await.unwrap();
        table.replace(&[&a.files[0].path], &new.files, &[]).await;
        assert!(!rebase(&table.table, &key_columns(), &mut index).await.unwrap(), "{rows:?}");
        assert_eq!(index.marker(), None);
    }
}

#[tokio::test]
async fn foreign_equality_deletes_remove_the_rows_written_before_them() {
    let mut table = TestTable::new(vec![
        required(1, "id", PrimitiveType::Int),
        column(2, "note", Type::Primitive(PrimitiveType::String)),
    ]);
    let rows = |ids: Vec<i32>, notes: Vec<Option<&str>>| {
        let (ids, notes): (ArrayRef, ArrayRef) = (Arc::new(Int32Array::from(ids)), Arc::new(StringArray::from(notes)));
        RecordBatch::try_from_iter([("id", ids), ("note", notes)]).unwrap()
    };
    let batch = rows(vec![1, 2, 3, 4], vec![Some("gone"), None, Some("stays"), None]);
    let old = write_data_files(&table.table, "old", std::slice::from_ref(&batch)).await.unwrap();
    table.commit(&old.files, &[]).await;
    let written = write_data_files(&table.table, "eq", &[rows(vec![9, 9], vec![Some("gone"), None])]).await.unwrap();
    let deletes = WrittenFile {
        data_file: DataFileBuilder::default()
            .content(DataContentType::EqualityDeletes)
            .equality_ids(Some(vec![2]))
            .file_path(written.files[0].path.clone())
            .file_format(DataFileFormat::Parquet)
            .record_count(2)
            .file_size_in_bytes(written.files[0].data_file.file_size_in_bytes())
            .build()
            .unwrap(),
        ..written.files[0].clone()
    };
    let new = write_data_files(&table.table, "new", &[rows(vec![5], vec![None])]).await.unwrap();
    table.commit(&new.files, &[deletes]).await;

    let (_dir, mut index) = index();
    rebuild(&table.table, &["id".to_owned()], &mut index).await.unwrap();
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(1..=9));
    let found = index.locate(&hash_keys(&[ids]).unwrap());
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, false, true, false, true, false, false, false, false]
    );
}

#[tokio::test]
async fn a_key_column_that_the_table_does_not_have_is_refused() {
    let mut table = table();
    add(&mut table, "first", &[1]).await;
    let (_dir, mut index) = index();
    let error = rebuild(&table.table, &["nobody".to_owned()], &mut index).await.unwrap_err();
    assert_eq!((error.kind(), index.marker()), (ErrorKind::Refused, None));
}

#[tokio::test]
async fn a_rebuild_that_fails_leaves_the_index_without_a_marker() {
    let mut table = table();
    let rows = add(&mut table, "first", &[1, 2, 3]).await;
    std::fs::remove_file(rows.files[0].path.strip_prefix("file://").unwrap()).unwrap();
    let (_dir, mut index) = index();
    rebuild(&table.table, &key_columns(), &mut index).await.unwrap_err();
    assert_eq!(index.marker(), None);
}
