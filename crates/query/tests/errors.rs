use std::sync::Arc;

use iceberg::spec::{NestedField, PrimitiveType, StructType, Type};
use query::Place;

use crate::support::*;

const NESTED: &str = "\
SELECT hour, COUNT(*) as transaction_count,
    COUNT(CASE WHEN fraud_indicators.amount_threshold = 'HIGH' THEN 1 END) as high_amount_alerts
FROM transactions WHERE date = CURRENT_DATE
GROUP BY hour ORDER BY hour";

#[tokio::test]
async fn a_field_that_is_at_the_top_level_is_pointed_at_and_can_be_fixed() {
    let lake = transactions().await;
    let error = lake.error(NESTED).await;
    assert_eq!(error.code(), "DYN201");
    assert_eq!(error.to_string(), "no field named fraud_indicators.amount_threshold");
    assert_eq!(error.place(), Some(Place { line: 2, column: 21, end_line: 2, end_column: 54 }));
    assert_eq!(error.label(), Some("analytics.transactions has amount_threshold at the top level"));
    assert_eq!(error.help(), Some("amount_threshold"));
    let fixed = error.fix().unwrap().apply(NESTED);
    assert_eq!(lake.lines(&fixed).await, ["9|3|1", "10|1|0"]);
}

#[tokio::test]
async fn a_table_with_the_struct_runs_the_nested_form() {
    let lake = LocalLake::new().await;
    let threshold = column(12, "amount_threshold", PrimitiveType::String);
    let indicators =
        NestedField::optional(3, "fraud_indicators", Type::Struct(StructType::new(vec![Arc::new(threshold)])));
    let columns = vec![column(1, "hour", PrimitiveType::Int), column(2, "date", PrimitiveType::Date), indicators];
    lake.create("analytics", "transactions", columns, &[]).await;
    assert_eq!(lake.lines(NESTED).await, Vec::<String>::new());
    let error = lake.error("SELECT amount_threshold FROM transactions").await;
    assert_eq!(error.label(), Some("analytics.transactions has it as fraud_indicators.amount_threshold"));
}

#[tokio::test]
async fn a_misspelled_column_is_met_with_the_right_one() {
    let lake = transactions().await;
    let check = async |sql: &str, column: u64, suggestion: &str| {
        let error = lake.error(sql).await;
        assert_eq!(error.code(), "DYN201", "{sql}: {error}");
        assert_eq!(error.place().map(|place| (place.line, place.column)), Some((1, column)), "{sql}");
        assert_eq!(error.help(), Some(suggestion), "{sql}");
        lake.lines(&error.fix().unwrap().apply(sql)).await;
    };
    check("SELECT amuont FROM transactions", 8, "amount").await;
    check("SELECT t.regoin FROM transactions t", 8, "t.region").await;
    check("SELECT hour FROM transactions WHERE stauts = 'x'", 37, "status").await;
    check("SELECT hour FROM transactions ORDER BY minutes", 40, "minute").await;
}

#[tokio::test]
async fn a_syntax_error_has_a_place() {
    let lake = LocalLake::new().await;
    let error = lake.error("SELECT 1\n  FROM").await;
    assert_eq!(error.code(), "DYN200");
    assert_eq!(error.place().map(|place| place.line), Some(2), "{error}");
    assert_eq!(lake.error("").await.code(), "DYN200");
    assert_eq!(lake.error("SELECT 1; SELECT 2").await.code(), "DYN200");
    assert_eq!(lake.error(&format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))).await.code(), "DYN200");
}

#[tokio::test]
async fn what_would_change_something_is_refused() {
    let lake = transactions().await;
    for sql in [
        "DELETE FROM transactions",
        "INSERT INTO transactions VALUES (1)",
        "UPDATE transactions SET hour = 1",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE EXTERNAL TABLE analytics.x (a int) STORED AS PARQUET LOCATION '/etc'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "DROP TABLE transactions",
        "SET datafusion.execution.parquet.pushdown_filters = true",
        "RESET datafusion.execution.batch_size",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'",
        "EXPLAIN ANALYZE INSERT INTO transactions VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO transactions SELECT * FROM x",
        "PREPARE p AS SELECT 1",
        "BEGIN",
    ] {
        let error = lake.error(sql).await;
        assert!(["DYN204", "DYN206"].contains(&error.code()), "{sql}: {} {error}", error.code());
    }
    let error = lake.error("DELETE FROM analytics.transactions").await;
    assert_eq!(error.to_string(), "analytics.transactions cannot be changed: its catalog is read-only here");
    assert_eq!(lake.error("SELECT * FROM '/etc/passwd'").await.code(), "DYN211");
    assert_eq!(lake.lines("SELECT count(*) FROM transactions").await, ["6"]);
}

#[tokio::test]
async fn a_function_that_does_not_exist_is_met_with_the_nearest() {
    let lake = transactions().await;
    let check = async |call: &str, nearest: Option<&str>| {
        let error = lake.error(&format!("SELECT {call} FROM transactions")).await;
        assert_eq!((error.code(), error.help()), ("DYN205", nearest), "{call}: {error}");
    };
    check("count_fi(hour > 1)", Some("count_if")).await;
    check("json_extract_scaler('{}', '$.a')", Some("json_extract_scalar")).await;
    check("date_dif('day', date, date)", Some("date_diff")).await;
    check("aprox_distinct(hour)", Some("approx_distinct")).await;
    check("zzzzzzzzzzzz(hour)", None).await;
}

#[tokio::test]
async fn other_mistakes_have_codes_of_their_own() {
    let lake = transactions().await;
    let check = async |sql: &str, code: &str, part: &str| {
        let error = lake.error(sql).await;
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    };
    check("SELECT sha265(hour) FROM transactions", "DYN205", "no function named sha265").await;
    check("SELECT hour, count(*) FROM transactions", "DYN206", "hour").await;
    check("SELECT a.hour FROM transactions a, transactions b WHERE hour = 1", "DYN203", "hour").await;
    check("SELECT CAST(transaction_id AS INT) FROM transactions", "DYN207", "T1").await;
    check("SELECT 1 / (hour - hour) FROM transactions", "DYN207", "zero").await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_named() {
    let lake = transactions().await;
    let data = lake.folder().join("analytics/transactions/data");
    std::fs::remove_dir_all(data).unwrap();
    let error = lake.error("SELECT * FROM transactions").await;
    assert_eq!(error.code(), "DYN207");
    assert!(error.to_string().contains("parquet"), "{error}");
}
