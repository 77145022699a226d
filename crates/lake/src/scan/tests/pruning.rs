use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray};
use iceberg::spec::*;

use crate::scan::tests::support::*;

#[tokio::test]
async fn a_file_that_cannot_match_is_not_opened() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    let first = table.append(vec![longs(0..10), strings((0..10).map(|_| "aaa"))]).await;
    table.append(vec![longs(10..20), strings((0..10).map(|_| "bbb"))]).await;
    table.destroy(&first);
    for filter in ["id >= 10", "id = 15", "name > 'aab'", "id IN (11, 12)", "id BETWEEN 12 AND 14"] {
        let rows = table.query(&format!("SELECT id FROM t WHERE {filter}")).await;
        assert!(!rows.is_empty(), "{filter}");
    }
}

#[tokio::test]
async fn a_file_of_nulls_is_kept_where_nulls_match() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    let nulls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    table.append(vec![longs([1]), nulls]).await;
    table.append(vec![longs([2]), strings(["b"])]).await;
    assert_eq!(table.query("SELECT id FROM t WHERE name IS NULL").await, ["1"]);
    assert_eq!(table.query("SELECT id FROM t WHERE name IS NOT NULL").await, ["2"]);
    assert_eq!(table.query("SELECT id FROM t WHERE name = 'b' OR id = 1 ORDER BY id").await, ["1", "2"]);
}

#[tokio::test]
async fn an_escaped_wildcard_does_not_prune_what_it_matches() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    table.append(vec![longs([1]), strings(["a%bc"])]).await;
    table.append(vec![longs([2]), strings(["axbc"])]).await;
    assert_eq!(table.query(r"SELECT id FROM t WHERE name LIKE 'a\%b%'").await, ["1"]);
    assert_eq!(table.query("SELECT id FROM t WHERE name LIKE 'a%' AND id > 1").await, ["2"]);
}

#[tokio::test]
async fn bounds_without_nan_do_not_hide_nan() {
    let mut table = TestTable::new(vec![NestedField::optional(1, "f", Type::Primitive(PrimitiveType::Double))]);
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
    table.append(vec![values]).await;
    assert_eq!(table.query("SELECT f FROM t WHERE f > 5").await, ["NaN"]);
}

#[tokio::test]
async fn partitions_prune_manifests_and_files() {
    let date = NestedField::optional(1, "date", Type::Primitive(PrimitiveType::Date));
    let fields = vec![date, string(2, "region"), long(3, "id")];
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(1, "date_month", Transform::Month)
        .unwrap()
        .add_partition_field(2, "region", Transform::Identity)
        .unwrap()
        .build();
    let mut table = TestTable::partitioned(fields, Some(spec));
    let mut files = Vec::new();
    for (day, region) in [(0, "eu"), (40, "eu"), (40, "us")] {
        let month = Literal::int(day / 31);
        let partition = Some(Struct::from_iter([Some(month), Some(Literal::string(region))]));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![day]));
        let written = table
            .write(
                vec![dates, strings([region]), longs([i64::from(day)])],
                FileOptions { partition, ..FileOptions::default() },
            )
            .await;
        // Without metrics, so that only the partition speaks.
        let bare = DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(written.file_path().to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(1)
            .file_size_in_bytes(written.file_size_in_bytes())
            .partition(written.partition().clone())
            .build()
            .unwrap();
        files.push(bare);
    }
    let manifest_of_first = files.remove(0);
    table.commit(vec![manifest_of_first.clone()], vec![]).await;
    table.commit(files.clone(), vec![]).await;

    assert_eq!(table.query("SELECT id FROM t WHERE date < DATE '1970-02-01'").await, ["0"]);
    table.destroy(&manifest_of_first);
    let first_manifest = "metadata/1-data.avro";
    std::fs::remove_file(table.path(first_manifest)).unwrap();
    table.cache = Arc::default();
    let sql = "SELECT region FROM t WHERE date > DATE '1970-02-02' ORDER BY region";
    assert_eq!(table.query(sql).await, ["eu", "us"]);
    table.destroy(&files[0]);
    assert_eq!(table.query("SELECT id FROM t WHERE region = 'us' AND date > DATE '1970-02-02'").await, ["40"]);
}
