use iceberg::spec::*;

use crate::scan::tests::support::*;

#[tokio::test]
async fn deleted_rows_are_not_read() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let options = FileOptions { rows_per_group: Some(4), ..FileOptions::default() };
    let file = table.write(vec![longs(0..10)], options).await;
    table.commit(vec![file.clone()], vec![]).await;
    let clean = table.append(vec![longs(10..12)]).await;
    let path = file.file_path();
    // A whole row group, the edges of another, and a position behind the end.
    let deletes = table.write_deletes(&[0, 3, 4, 5, 6, 7, 99].map(|position| (path, position)), Some(path)).await;
    table.commit(vec![], vec![deletes]).await;
    assert_eq!(table.query("SELECT id FROM t ORDER BY id").await, ["1", "2", "8", "9", "10", "11"]);
    assert_eq!(table.query("SELECT count(*), sum(id) FROM t").await, ["6|41"]);
    assert_eq!(table.query("SELECT count(*) FROM t").await, ["6"]);

    let all = [10, 11].map(|id| (clean.file_path(), id - 10));
    let deletes = table.write_deletes(&all, None).await;
    table.commit(vec![], vec![deletes]).await;
    assert_eq!(table.query("SELECT id FROM t ORDER BY id").await, ["1", "2", "8", "9"]);
}

#[tokio::test]
async fn a_row_deleted_twice_counts_once() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let file = table.append(vec![longs(0..4)]).await;
    for referenced in [Some(file.file_path()), None] {
        let deletes = table.write_deletes(&[(file.file_path(), 1)], referenced).await;
        table.commit(vec![], vec![deletes]).await;
    }
    assert_eq!(table.query("SELECT count(*) FROM t").await, ["3"]);
    assert_eq!(table.query("SELECT id FROM t ORDER BY id").await, ["0", "2", "3"]);
}

#[tokio::test]
async fn a_delete_spares_files_written_after_it() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let file = table.write(vec![longs(0..3)], FileOptions::default()).await;
    let deletes = table.write_deletes(&[(file.file_path(), 0)], Some(file.file_path())).await;
    // The delete is older than the file it names.
    table.commit(vec![], vec![deletes]).await;
    table.commit(vec![file.clone()], vec![]).await;
    assert_eq!(table.query("SELECT count(*) FROM t").await, ["3"]);

    // In one commit with its file, it applies.
    let file = table.write(vec![longs(3..6)], FileOptions::default()).await;
    let deletes = table.write_deletes(&[(file.file_path(), 0)], Some(file.file_path())).await;
    table.commit(vec![file], vec![deletes]).await;
    assert_eq!(table.query("SELECT id FROM t ORDER BY id").await, ["0", "1", "2", "4", "5"]);
}

#[tokio::test]
async fn one_delete_file_may_name_many_data_files() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    let mut files = Vec::new();
    for start in [0, 10, 20] {
        files.push(table.append(vec![longs(start..start + 3)]).await);
    }
    let rows: Vec<(&str, i64)> = files[..2].iter().map(|file| (file.file_path(), 1)).collect();
    let deletes = table.write_deletes(&rows, None).await;
    table.commit(vec![], vec![deletes]).await;
    assert_eq!(table.query("SELECT id FROM t ORDER BY id").await, ["0", "2", "10", "12", "20", "21", "22"]);
}

#[tokio::test]
async fn a_limit_with_a_filter_brings_no_deleted_row_back() {
    let mut table = TestTable::new(vec![long(1, "id"), long(2, "n")]);
    let options = FileOptions { rows_per_group: Some(10), ..FileOptions::default() };
    let file = table.write(vec![longs(0..40), longs(100..140)], options).await;
    let path = file.file_path();
    let deletes: Vec<(&str, i64)> = (0..40).filter(|row| row % 10 < 8).map(|row| (path, row)).collect();
    let deletes = table.write_deletes(&deletes, Some(path)).await;
    table.commit(vec![file.clone()], vec![deletes]).await;
    for pushdown in [false, true] {
        let context = context(table.provider());
        context.state_ref().write().config_mut().options_mut().execution.parquet.pushdown_filters = pushdown;
        // Every row of every row group matches, as its statistics show.
        let sql = "SELECT id FROM t WHERE n >= 100 AND id >= 0 LIMIT 5";
        let rows = lines(&context.sql(sql).await.unwrap().collect().await.unwrap());
        assert_eq!(rows.len(), 5);
        for row in rows {
            assert!(row.parse::<i64>().unwrap() % 10 >= 8, "{row} is deleted (pushdown {pushdown})");
        }
        let sql = "SELECT id FROM t WHERE n >= 100 ORDER BY id DESC LIMIT 3";
        let rows = lines(&context.sql(sql).await.unwrap().collect().await.unwrap());
        assert_eq!(rows, ["39", "38", "29"]);
    }
}

#[tokio::test]
async fn bounds_of_deleted_rows_do_not_become_answers() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    let file = table.append(vec![longs([1, 2, 3]), strings(["a", "b", "c"])]).await;
    let deletes = table.write_deletes(&[(file.file_path(), 0), (file.file_path(), 2)], None).await;
    table.commit(vec![], vec![deletes]).await;
    assert_eq!(table.query("SELECT min(id), max(id), min(name), max(name), count(name) FROM t").await, ["2|2|b|b|1"]);
}

#[tokio::test]
async fn a_bound_that_was_shortened_does_not_become_a_value() {
    let mut table = TestTable::new(vec![string(1, "name")]);
    let written = table.write(vec![strings(["abcdef"])], FileOptions::default()).await;
    let bound = || [(1, Datum::string("abc"))].into();
    let file = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(written.file_path().to_owned())
        .file_format(DataFileFormat::Parquet)
        .record_count(1)
        .file_size_in_bytes(written.file_size_in_bytes())
        .value_counts([(1, 1)].into())
        .null_value_counts([(1, 0)].into())
        .lower_bounds(bound())
        .upper_bounds(bound())
        .build()
        .unwrap();
    table.commit(vec![file], vec![]).await;
    assert_eq!(table.query("SELECT name FROM t").await, ["abcdef"]);
    assert_eq!(table.query("SELECT max(name) FROM t").await, ["abcdef"]);
}

#[tokio::test]
async fn equality_deletes_are_refused_not_ignored() {
    let mut table = TestTable::new(vec![long(1, "id")]);
    table.append(vec![longs([1, 2])]).await;
    let written = table.write(vec![longs([1])], FileOptions::default()).await;
    let deletes = DataFileBuilder::default()
        .content(DataContentType::EqualityDeletes)
        .file_path(written.file_path().to_owned())
        .file_format(DataFileFormat::Parquet)
        .record_count(1)
        .file_size_in_bytes(written.file_size_in_bytes())
        .equality_ids(Some(vec![1]))
        .build()
        .unwrap();
    table.commit(vec![], vec![deletes]).await;
    for sql in ["SELECT * FROM t", "SELECT count(*) FROM t"] {
        let error = table.query_error(sql).await;
        assert!(error.contains("equality deletes") && error.contains("ns.t"), "{error}");
    }
}

#[tokio::test]
async fn a_large_file_is_read_in_pieces_that_hold_every_row_once() {
    let mut table = TestTable::new(vec![long(1, "id"), string(2, "name")]);
    // Long names, no two alike: the file is worth cutting.
    let rows = 40_000;
    let names: Vec<String> = (0..rows).map(|row| format!("{row:0>128}")).collect();
    let file =
        table.write(vec![longs(0..rows), strings(names.iter().map(String::as_str))], FileOptions::default()).await;
    assert!(file.file_size_in_bytes() > 4 << 20);
    table.commit(vec![file.clone()], vec![]).await;
    let sql = "SELECT count(*), sum(id), count(DISTINCT id) FROM t WHERE name IS NOT NULL";
    let plan = table.plan(sql).await;
    assert!(plan.contains("2 groups"), "{plan}");
    assert_eq!(table.query(sql).await, [format!("{rows}|{}|{rows}", rows * (rows - 1) / 2)]);

    // What every row matches, with a limit.
    assert_eq!(table.query("SELECT count(*) FROM (SELECT id FROM t WHERE id >= 0 LIMIT 30000)").await, ["30000"]);
    let middle: Vec<(&str, i64)> = (19_000..21_000).map(|row| (file.file_path(), row)).collect();
    let deletes = table.write_deletes(&middle, Some(file.file_path())).await;
    table.commit(vec![], vec![deletes]).await;
    assert_eq!(table.query("SELECT count(*), min(id) FROM t WHERE id >= 19000").await, ["19000|21000"]);
}

#[tokio::test]
async fn row_groups_that_cannot_match_are_left_out_of_a_file_with_deletes() {
    let mut table = TestTable::new(vec![long(1, "a"), string(2, "b")]);
    let options = FileOptions { rows_per_group: Some(10), ..FileOptions::default() };
    let names: Vec<String> = (0..40).map(|row| format!("{row:0>3}")).collect();
    let file = table.write(vec![longs(0..40), strings(names.iter().map(String::as_str))], options).await;
    let deletes = table.write_deletes(&[(file.file_path(), 25)], Some(file.file_path())).await;
    table.commit(vec![file], vec![deletes]).await;
    // The file's own names are others now.
    table.evolve(vec![long(1, "b"), string(2, "a")]).await;
    assert_eq!(table.query("SELECT count(*) FROM t WHERE b >= 20 AND b < 30").await, ["9"]);
    assert_eq!(table.query("SELECT b FROM t WHERE a > '038'").await, ["39"]);
    assert_eq!(table.query("SELECT b FROM t WHERE b = 25").await, Vec::<String>::new());

    // Pages are not looked at, so that only row groups can save anything.
    let bytes = async |sql: &str| {
        let context = context(table.provider());
        context.state_ref().write().config_mut().options_mut().execution.parquet.enable_page_index = false;
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::collect(plan.clone(), context.task_ctx()).await.unwrap();
        bytes_scanned(plan.as_ref())
    };
    let (some, all) = (bytes("SELECT * FROM t WHERE b = 7").await, bytes("SELECT * FROM t WHERE b >= 0").await);
    assert!(some * 3 < all, "{some} of {all} bytes");
}
