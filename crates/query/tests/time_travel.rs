use std::collections::HashMap;

use iceberg::TableIdent;
use iceberg::spec::PrimitiveType;

use crate::support::*;

/// A table with a row more per commit.
async fn three_commits() -> LocalLake {
    let lake = LocalLake::new().await;
    let columns = vec![column(1, "id", PrimitiveType::String), column(2, "price", PrimitiveType::Long)];
    lake.create("sales", "orders", columns, &[vec![Some("a"), Some("1")]]).await;
    let ident = TableIdent::from_strs(["sales", "orders"]).unwrap();
    for id in ["b", "c"] {
        lake.append(&ident, &[vec![Some(id), Some("2")]], HashMap::new()).await;
    }
    lake
}

async fn snapshots(lake: &LocalLake) -> Vec<(String, String)> {
    let sql = r#"SELECT snapshot_id, CAST(committed_at AS varchar) FROM "orders$snapshots" ORDER BY committed_at"#;
    let lines = lake.lines(sql).await;
    lines.iter().map(|line| line.split_once('|').map(|(id, at)| (id.to_owned(), at.to_owned())).unwrap()).collect()
}

#[tokio::test]
async fn a_version_is_read_by_id() {
    let lake = three_commits().await;
    let snapshots = snapshots(&lake).await;
    assert_eq!(snapshots.len(), 3);
    for ((id, _), expected) in snapshots.iter().zip(["1", "2", "3"]) {
        for clause in ["FOR VERSION AS OF", "FOR SYSTEM_VERSION AS OF"] {
            let sql = format!("SELECT count(*) FROM sales.orders {clause} {id}");
            assert_eq!(lake.lines(&sql).await, [expected], "{sql}");
        }
    }
    let first = &snapshots[0].0;
    let both = format!(
        "SELECT n.id FROM orders n LEFT JOIN orders FOR VERSION AS OF {first} AS o ON n.id = o.id WHERE o.id IS NULL ORDER BY orders.id"
    );
    assert_eq!(lake.lines(&both.replace("orders.id", "1")).await, ["b", "c"]);
    let qualified = format!("SELECT orders.id FROM orders FOR VERSION AS OF {first} WHERE orders.price = 1");
    assert_eq!(lake.lines(&qualified).await, ["a"]);
    let error = lake.error("SELECT * FROM orders FOR VERSION AS OF 12").await;
    assert_eq!((error.code(), error.to_string().as_str()), ("DYN210", "sales.orders has no snapshot 12"));
    assert!(error.help().unwrap().contains("orders$snapshots"), "{error:?}");
}

#[tokio::test]
async fn a_branch_is_read_by_name() {
    let lake = three_commits().await;
    assert_eq!(lake.lines("SELECT count(*) FROM orders FOR VERSION AS OF 'main'").await, ["3"]);
    let error = lake.error("SELECT * FROM orders FOR VERSION AS OF 'audit'").await;
    assert_eq!(error.to_string(), "sales.orders has no tag or branch named audit");
}

#[tokio::test]
async fn a_table_is_read_as_it_was_at_a_time() {
    let lake = three_commits().await;
    let snapshots = snapshots(&lake).await;
    for clause in ["FOR TIMESTAMP AS OF", "FOR SYSTEM_TIME AS OF"] {
        let at = &snapshots.last().unwrap().1;
        let sql = format!("SELECT count(*) FROM orders {clause} TIMESTAMP '{at}' o");
        assert_eq!(lake.lines(&sql).await, ["3"], "{sql}");
        let sql = format!("SELECT count(*) FROM orders {clause} (current_timestamp + INTERVAL '9000' DAY)");
        assert_eq!(lake.lines(&sql).await, ["3"], "{sql}");
    }
    let error = lake.error("SELECT * FROM orders FOR TIMESTAMP AS OF TIMESTAMP '2020-01-01 00:00:00'").await;
    assert_eq!((error.code(), error.to_string().as_str()), ("DYN210", "sales.orders has no snapshot that old"));
}

#[tokio::test]
async fn metadata_tables_tell_history_and_files() {
    let lake = three_commits().await;
    let check = async |sql: &str, expected: &[&str]| assert_eq!(lake.lines(sql).await, expected, "{sql}");
    check(
        r#"SELECT operation, summary['total-records'] FROM "orders$snapshots" ORDER BY 2"#,
        &["append|1", "append|2", "append|3"],
    )
    .await;
    check(
        r#"SELECT count(*), bool_and(is_current_ancestor), count(parent_id) FROM sales."orders$history""#,
        &["3|true|2"],
    )
    .await;
    check(r#"SELECT name, type, snapshot_id = (SELECT max_by(snapshot_id, made_current_at) FROM "orders$history") FROM "orders$refs""#, &["main|BRANCH|true"]).await;
    check(
        r#"SELECT content, file_format, sum(record_count), count(*) FROM "orders$files" GROUP BY 1, 2"#,
        &["0|PARQUET|3|3"],
    )
    .await;
    check(r#"SELECT lower_bounds[1], value_counts[2] FROM "orders$files" ORDER BY 1"#, &["a|1", "b|1", "c|1"]).await;
    check(r#"SELECT count(*), sum(added_rows_count), sum(deleted_rows_count) FROM "orders$manifests""#, &["3|3|0"])
        .await;
    check(r#"SELECT record_count, file_count, total_size > 0 FROM "orders$partitions""#, &["3|3|true"]).await;
    check("SHOW PARTITIONS orders", &[]).await;
    let first = &snapshots(&lake).await[0].0;
    check(&format!(r#"SELECT count(*) FROM "orders$files" FOR VERSION AS OF {first}"#), &["1"]).await;
    let error = lake.error(r#"SELECT * FROM "orders$file""#).await;
    assert_eq!((error.code(), error.to_string().as_str()), ("DYN202", "no metadata table named $file"));
}
