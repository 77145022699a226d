use crate::scan::tests::support::*;

#[tokio::test]
async fn a_table_without_a_snapshot_has_no_rows() {
    let table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    assert_eq!(table.query("SELECT * FROM t").await, Vec::<String>::new());
    assert_eq!(table.query("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn rows_of_all_files_are_read() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    table.append(vec![longs([1, 2]), strings(["a", "b"])]).await;
    table.append(vec![longs([3]), strings(["c"])]).await;
    assert_eq!(table.query("SELECT * FROM t ORDER BY id").await, ["1|a", "2|b", "3|c"]);
    assert_eq!(table.query("SELECT name FROM t WHERE id > 1 ORDER BY name DESC").await, ["c", "b"]);
    assert_eq!(table.query("SELECT id FROM t ORDER BY id LIMIT 2").await, ["1", "2"]);
    assert_eq!(table.query("SELECT id FROM t LIMIT 2").await.len(), 2);
    assert_eq!(table.query("SELECT count(*) FROM (SELECT id FROM t LIMIT 2)").await, ["2"]);
}

#[tokio::test]
async fn a_percent_sign_and_a_blank_in_a_path_stand_for_themselves() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let options = FileOptions { name: Some("n=a%2Fb%20c d/ü+1.parquet"), ..FileOptions::default() };
    let file = table.write(vec![longs([1, 2])], options).await;
    let deletes = table.write_deletes(&[(file.file_path(), 0)], None).await;
    table.commit(vec![file], vec![deletes]).await;
    assert_eq!(table.query("SELECT id FROM t").await, ["2"]);
}

#[tokio::test]
async fn text_is_read_as_views_without_a_cast() {
    let mut table = TestTable::new(vec![string(1, "name")]);
    table.append(vec![strings(["a"])]).await;
    assert_eq!(table.query("SELECT arrow_typeof(name) FROM t").await, ["Utf8View"]);
    let plan = table.plan("SELECT name FROM t WHERE name = 'a'").await;
    assert!(!plan.contains("CAST"), "{plan}");
}

#[tokio::test]
async fn counting_rows_reads_no_data_file() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let file = table.append(vec![longs([1, 2, 3])]).await;
    let deletes = table.write_deletes(&[(file.file_path(), 0)], Some(file.file_path())).await;
    table.commit(vec![], vec![deletes]).await;
    let plan = table.plan("SELECT count(*) FROM t").await;
    assert!(plan.contains("PlaceholderRowExec") && plan.contains("2 as count"), "{plan}");
    assert_eq!(table.query("SELECT count(*) FROM t").await, ["2"]);
}

#[tokio::test]
async fn an_older_snapshot_can_be_read() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    table.append(vec![longs([1])]).await;
    let first = table.provider().snapshot().unwrap().clone();
    table.append(vec![longs([2])]).await;
    table.evolve(vec![long(1, "key")]).await;

    let provider = table.provider();
    let ids = async |at| lines(&context(at).sql("SELECT id FROM t").await.unwrap().collect().await.unwrap());
    assert_eq!(ids(provider.at_snapshot(first.snapshot_id()).unwrap()).await, ["1"]);
    assert_eq!(ids(provider.at_time(first.timestamp_ms()).unwrap()).await, ["1"]);
    assert!(provider.at_time(first.timestamp_ms() - 1).is_err());
    assert!(provider.at_snapshot(77).is_err());
    assert_eq!(table.query("SELECT key FROM t ORDER BY key").await, ["1", "2"]);
}

#[tokio::test]
async fn a_second_query_reads_no_manifest_again() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    table.append(vec![longs([1])]).await;
    assert_eq!(table.query("SELECT id FROM t").await, ["1"]);
    std::fs::remove_dir_all(table.path("metadata")).unwrap();
    assert_eq!(table.query("SELECT id FROM t").await, ["1"]);
}
