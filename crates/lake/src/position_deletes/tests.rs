use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use iceberg::spec::{Literal, PrimitiveType, Transform};

use super::*;
use crate::data_file::tests::read_back;
use crate::test_table::{TestTable, required};

fn deleted(path: &str, partition: i64, positions: &[u64]) -> DeletedRows {
    let partition = Struct::from_iter([Some(Literal::long(partition))]);
    DeletedRows { data_file_path: path.to_owned(), spec_id: 0, partition, positions: positions.to_vec() }
}

fn table() -> TestTable {
    TestTable::partitioned(vec![required(1, "id", PrimitiveType::Long)], &[(1, Transform::Identity)])
}

fn rows(file: &WrittenFile) -> Vec<(String, i64)> {
    let rows = read_back(file);
    let paths = rows.column(0).as_string::<i32>();
    let positions = rows.column(1).as_primitive::<Int64Type>();
    paths.iter().zip(positions.values()).map(|(path, pos)| (path.unwrap().to_owned(), *pos)).collect()
}

#[tokio::test]
async fn each_data_file_gets_a_delete_file_that_names_it() {
    let table = table();
    let long = format!("s3://bucket/{}", "x".repeat(100));
    let deletes = vec![
        deleted(&long, 1, &[7, 3, 7]),
        deleted("s3://bucket/b", 2, &[0]),
        deleted("s3://bucket/none", 2, &[]),
        deleted(&long, 1, &[1]),
    ];
    let written = write_position_deletes(&table.table, "c", deletes).await.unwrap();
    assert_eq!(written.len(), 2);
    let file = &written[1];
    assert_eq!(rows(file), [(long.clone(), 1), (long.clone(), 3), (long.clone(), 7)]);
    let described = &file.data_file;
    assert_eq!(described.content_type(), DataContentType::PositionDeletes);
    assert_eq!(described.referenced_data_file(), Some(long.clone()));
    assert_eq!(described.lower_bounds()[&2147483546], Datum::string(&long));
    assert_eq!(described.upper_bounds()[&2147483546], Datum::string(&long));
    assert_eq!(described.upper_bounds()[&2147483545], Datum::long(7));
    assert_eq!(described.partition(), &Struct::from_iter([Some(Literal::long(1))]));
    assert_eq!(described.record_count(), 3);
}

#[tokio::test]
async fn a_commit_that_touches_many_data_files_gets_one_delete_file_per_partition() {
    let table = table();
    let deletes = (0..65).rev().map(|n| deleted(&format!("s3://bucket/{n:02}"), n % 2, &[5, 4])).collect();
    let written = write_position_deletes(&table.table, "c", deletes).await.unwrap();
    assert_eq!(written.len(), 2);
    assert_eq!(written[0].data_file.referenced_data_file(), None);
    assert_eq!(written[0].data_file.record_count(), 66);
    let rows = rows(&written[0]);
    assert_eq!(rows[..2], [("s3://bucket/00".to_owned(), 4), ("s3://bucket/00".to_owned(), 5)]);
    assert!(rows.is_sorted());
}
