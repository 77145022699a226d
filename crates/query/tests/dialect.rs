use std::collections::HashMap;

use iceberg::TableIdent;
use query::{EngineOptions, Memory};

use crate::support::*;

const PER_HOUR: &str = "\
SELECT date, hour, merchant_category, payment_method, COUNT(*) as transaction_count,
 SUM(CAST(amount AS DECIMAL(12,2))) as total_amount, COUNT(DISTINCT customer_id) as unique_customers,
 COUNT(CASE WHEN status = 'DECLINED' THEN 1 END) as declined_count,
 COUNT(CASE WHEN amount_threshold = 'HIGH' THEN 1 END) as high_amount_alerts
FROM transactions WHERE date = CURRENT_DATE
GROUP BY date, hour, merchant_category, payment_method ORDER BY hour, total_amount DESC;";

const PER_REGION: &str = "\
SELECT region, merchant_category, date, COUNT(*) as total_transactions,
 SUM(CAST(amount AS DECIMAL(12,2))) as total_amount,
 COUNT(CASE WHEN risk_score = 'HIGH' THEN 1 END) as high_risk_count,
 COUNT(CASE WHEN velocity_check = 'FLAG' THEN 1 END) as velocity_flags,
 COUNT(CASE WHEN status = 'FLAGGED' THEN 1 END) as flagged_transactions
FROM transactions WHERE date >= CURRENT_DATE - INTERVAL '7' DAY
GROUP BY region, merchant_category, date
HAVING COUNT(CASE WHEN risk_score = 'HIGH' THEN 1 END) > 0 ORDER BY high_risk_count DESC;";

#[tokio::test]
async fn the_blogs_queries_run_as_printed() {
    let lake = transactions().await;
    let expected = ["2026-11-22|9|RETAIL|CARD|3|1010.25|2|1|1", "2026-11-22|10|RETAIL|CARD|1|5.00|1|0|0"];
    assert_eq!(lake.lines(PER_HOUR).await, expected);
    let expected = ["EU|RETAIL|2026-11-22|4|1015.25|2|1|1", "EU|RETAIL|2026-11-16|1|7.50|1|1|1"];
    assert_eq!(lake.lines(PER_REGION).await, expected);
    assert_eq!(lake.lines("SELECT * FROM transactions LIMIT 100").await.len(), 6);
    let answer = lake.engine().query(PER_HOUR).await.unwrap();
    let types: Vec<String> = answer.schema.fields().iter().map(|field| query::type_name(field.data_type())).collect();
    assert_eq!(types[..6], ["date", "int", "string", "string", "bigint", "decimal(38,2)"]);
}

#[tokio::test]
async fn names_of_types_are_columns_without_quotes() {
    let lake = transactions().await;
    let sql = "SELECT timestamp, date, hour, minute FROM transactions t WHERE timestamp > 0 AND t.date > DATE '2026-11-21' AND date < TIMESTAMP '2026-11-23 00:00:00' ORDER BY date, timestamp, hour DESC LIMIT 1";
    assert_eq!(lake.lines(sql).await, ["1795340000000|2026-11-22|10|null"]);
}

#[tokio::test]
async fn now_is_what_the_clock_of_the_process_says() {
    let lake = transactions().await;
    let sql = "SELECT CURRENT_DATE, now(), CURRENT_TIMESTAMP = now(), CURRENT_DATE - INTERVAL '7' DAY";
    assert_eq!(lake.lines(sql).await, ["2026-11-22|2026-11-22T12:00:00Z|true|2026-11-15"]);
}

#[tokio::test]
async fn aggregates_and_windows_take_what_is_computed_otherwise_in_athena() {
    let lake = transactions().await;
    let rows =
        "(VALUES (1.6, TIMESTAMP '2026-01-01 10:00:00'), (2.4, TIMESTAMP '2026-01-01 10:00:00.000001')) t(x, at)";
    let check = async |sql: String, expected: &[&str]| assert_eq!(lake.lines(&sql).await, expected, "{sql}");
    check(
        format!("SELECT sum(CAST(x AS bigint)), min(CAST(at AS varchar)) FROM {rows}"),
        &["4|2026-01-01 10:00:00.000000"],
    )
    .await;
    let grouped = "SELECT CAST(x AS bigint) k, max(CAST(x AS integer)) FROM";
    check(format!("{grouped} {rows} GROUP BY CAST(x AS bigint)"), &["2|2"]).await;
    let mixed = "CASE WHEN x > 2 THEN CAST(x AS decimal(12,2)) WHEN x > 1 THEN DECIMAL '0.000001' ELSE 0 END";
    check(format!("SELECT sum({mixed}) FROM {rows}"), &["2.400001"]).await;
    check(format!("SELECT max(CAST(x AS bigint)) OVER (ORDER BY at) FROM {rows}"), &["2", "2"]).await;
    check(
        format!("SELECT max(coalesce(at, TIMESTAMP '2026-01-01 10:00:00.5')) FROM {rows}"),
        &["2026-01-01T10:00:00.000001"],
    )
    .await;
}

#[tokio::test]
async fn timestamps_of_unlike_digits_meet_at_the_finer_ones() {
    let lake = transactions().await;
    let (coarse, fine) = ("TIMESTAMP '2026-01-01 10:00:00'", "TIMESTAMP '2026-01-01 10:00:00.000001'");
    let check = async |sql: String, expected: &[&str]| assert_eq!(lake.lines(&sql).await, expected, "{sql}");
    check(format!("SELECT {coarse} = {fine}, {coarse} < {fine}, {fine} IN ({coarse})"), &["false|true|false"]).await;
    check(format!("SELECT {fine} BETWEEN {coarse} AND {coarse}"), &["false"]).await;
    let shown = "2026-01-01T10:00:00.000001";
    check(format!("SELECT coalesce(NULL, {fine}, {coarse})"), &[shown]).await;
    check(format!("SELECT CASE WHEN 1 = 2 THEN {coarse} ELSE {fine} END"), &[shown]).await;
    check(format!("SELECT max(x) FROM (VALUES ({coarse}), ({fine})) t(x)"), &[shown]).await;
    check(format!("SELECT max(x) FROM (SELECT {coarse} AS x UNION ALL SELECT {fine}) t"), &[shown]).await;
    check(format!("SELECT count(*) FROM (SELECT {coarse} AS x UNION SELECT {fine}) t"), &["2"]).await;
    check(format!("SELECT count(*) FROM (SELECT {coarse} a) l JOIN (SELECT {fine} b) r ON a = b"), &["0"]).await;
}

#[tokio::test]
async fn arrays_unnested_over_one_another_are_never_there_at_once() {
    let lake = transactions().await;
    // 10 million rows of a million arrays; 8,192 arrays at once would be 65 GB.
    let sql =
        "SELECT count(*), sum(y) FROM UNNEST(sequence(1, 10000)) a(x), UNNEST(sequence(1, 1000)) b(y) WHERE x % 10 = 0";
    assert_eq!(lake.lines(sql).await, ["1000000|500500000"]);
    let sql = "SELECT x FROM UNNEST(sequence(1, 9999)) a(x), UNNEST(sequence(1, 10000)) b(y), UNNEST(sequence(1, 10000)) c(z) LIMIT 1";
    assert_eq!(lake.lines(sql).await, ["1"]);
}

#[tokio::test]
async fn an_array_made_of_nothing_has_at_most_ten_thousand_entries() {
    let lake = transactions().await;
    assert_eq!(
        lake.lines("SELECT cardinality(sequence(10000, 1, -1)), cardinality(repeat('x', 10000))").await,
        ["10000|10000"]
    );
    for far in [
        "sequence(1, 1000000000000)",
        "sequence(-5, 9223372036854775807)",
        "range(0, 20002, 2)",
        "repeat('x', 1000000000000)",
        "sequence(DATE '1990-01-01', DATE '2026-01-01', INTERVAL '1' DAY)",
        "sequence(TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-01-02 00:00:00', INTERVAL '1' SECOND)",
    ] {
        let error = lake.engine().query(&format!("SELECT {far}")).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("more than 10000 entries"), "{far}: {error}");
    }
    let days = "SELECT cardinality(sequence(DATE '2000-01-01', DATE '2026-01-01', INTERVAL '1' DAY))";
    assert_eq!(lake.lines(days).await, ["9498"]);
}

#[tokio::test]
async fn numbers_and_nulls_are_as_in_athena() {
    let lake = transactions().await;
    assert_eq!(lake.lines("SELECT 0.1 + 0.2 = 0.3, arrow_typeof(1.50)").await, ["true|Decimal128(3, 2)"]);
    let sql = "SELECT x FROM (VALUES (1), (NULL), (2)) v(x) ORDER BY x";
    assert_eq!(lake.lines(sql).await, ["1", "2", "null"]);
    assert_eq!(lake.lines(&format!("{sql} DESC")).await, ["2", "1", "null"]);
    let sql = "SELECT round(avg(amount), 2), approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY hour), sum(amount) * 1.5 FROM transactions";
    assert_eq!(lake.lines(sql).await.len(), 1);
}

#[tokio::test]
async fn tables_and_columns_can_be_listed() {
    let lake = transactions().await;
    lake.create("sales", "orders", vec![transactions_columns().remove(0)], &[]).await;
    assert_eq!(lake.lines("SHOW DATABASES").await, ["analytics", "sales"]);
    assert_eq!(lake.lines("SHOW TABLES").await, ["analytics|transactions", "sales|orders"]);
    assert_eq!(lake.lines("SHOW TABLES IN sales").await, ["sales|orders"]);
    assert_eq!(lake.lines("SHOW TABLES LIKE 'trans%'").await, ["analytics|transactions"]);
    let described = lake.lines("DESCRIBE analytics.transactions").await;
    assert_eq!(described.len(), 22);
    assert_eq!(described[7], "amount|decimal(12,2)|null");
    assert_eq!(lake.lines("SHOW COLUMNS IN orders").await, ["transaction_id|string|null"]);
    assert!(lake.lines("EXPLAIN SELECT * FROM orders").await[0].starts_with("logical_plan"));
}

#[tokio::test]
async fn columns_without_a_name_get_athenas() {
    let lake = transactions().await;
    let check = async |sql: &str, expected: &[&str]| {
        let answer = lake.engine().query(sql).await.unwrap();
        let names: Vec<&str> = answer.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, expected, "{sql}");
    };
    check(
        "SELECT hour, count(*), 1 + 1, max(hour) AS \"Most\" FROM transactions GROUP BY 1",
        &["hour", "_col1", "_col2", "Most"],
    )
    .await;
    check("SELECT hour, t.hour, HOUR FROM transactions t", &["hour", "hour", "hour"]).await;
    check("SELECT 1 UNION ALL SELECT 2", &["_col0"]).await;
}

#[tokio::test]
async fn parameters_stand_for_question_marks_in_order() {
    let lake = transactions().await;
    let engine = lake.engine();
    let sql =
        "SELECT transaction_id, ? FROM transactions WHERE status = ? AND date > ? AND amount < ? ORDER BY 1 LIMIT ?";
    let parameters = ["'it''s; DROP'", "'FLAGGED'", "DATE '2026-11-15'", "7.6", "5"].map(str::to_owned);
    let query = query::parse_with_parameters(sql, &parameters).unwrap();
    assert_eq!(query.kind(), query::StatementKind::Dml);
    assert_eq!(lines(&engine.answer(query).await.unwrap()), ["T3|it's; DROP", "T5|it's; DROP"]);
    let error = |parameters: &[&str]| {
        let parameters: Vec<String> = parameters.iter().map(|text| (*text).to_owned()).collect();
        query::parse_with_parameters("SELECT ?", &parameters).err().unwrap().to_string()
    };
    assert_eq!(error(&[]), "the statement has 1 parameters, and 0 values were given");
    assert_eq!(error(&["1", "2"]), "the statement has 1 parameters, and 2 values were given");
    assert_eq!(error(&["hour"]), "hour is no SQL literal");
    assert_eq!(error(&["1; DROP TABLE x"]), "1; DROP TABLE x is no SQL literal");
    assert_eq!(error(&["(SELECT 1)"]), "(SELECT 1) is no SQL literal");
    let query = query::parse_with_parameters("SELECT -?", &["-1".to_owned()]).unwrap();
    assert_eq!(lines(&engine.answer(query).await.unwrap()), ["1"]);
}

#[tokio::test]
async fn an_answer_says_what_it_has_read() {
    let lake = transactions().await;
    let summary = HashMap::from([("dynaberg.complete-up-to".to_owned(), "1795348799000".to_owned())]);
    let ident = TableIdent::from_strs(["analytics", "transactions"]).unwrap();
    lake.append(&ident, &[vec![None; 22]], summary).await;
    let answer = lake.engine().query("SELECT count(*), sum(amount) FROM transactions").await.unwrap();
    assert_eq!(lines(&answer), ["7|1031.25"]);
    assert!(answer.bytes_read > 0, "{}", answer.bytes_read);
    let [table] = answer.tables.as_slice() else { panic!("one table was read: {:?}", answer.tables) };
    let snapshot = table.snapshot.as_ref().unwrap();
    assert_eq!((table.name.as_str(), snapshot.sequence_number), ("analytics.transactions", 2));
    assert_eq!(snapshot.complete_up_to_ms, Some(1795348799000));
    let counted = lake.engine().query("SELECT count(*) FROM transactions").await.unwrap();
    assert_eq!((lines(&counted), counted.bytes_read), (vec!["7".to_owned()], 0));
}

#[tokio::test]
async fn a_query_sees_commits_made_since_the_one_before() {
    let lake = transactions().await;
    let engine = lake.engine();
    let sql = "SELECT count(*) FROM transactions a, transactions b";
    assert_eq!(lines(&engine.query(sql).await.unwrap()), ["36"]);
    let ident = TableIdent::from_strs(["analytics", "transactions"]).unwrap();
    lake.append(&ident, &[vec![None; 22]], HashMap::new()).await;
    assert_eq!(lines(&engine.query(sql).await.unwrap()), ["49"]);
}

#[tokio::test]
async fn a_query_stays_inside_its_memory() {
    let lake = LocalLake::new().await;
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::limited(1 << 20, folder.path()).unwrap();
    let engine = lake.engine_with(EngineOptions { memory: Some(memory), ..EngineOptions::default() });
    let sql = "SELECT count(*) FROM (SELECT a.value v, b.value w FROM generate_series(1, 300) a JOIN generate_series(1, 1000) b ON a.value <> b.value GROUP BY 1, 2)";
    match engine.query(sql).await {
        // It may do with what it has, by spilling.
        Ok(answer) => assert_eq!(lines(&answer), ["299700"]),
        Err(error) => assert_eq!(error.code(), "DYN208", "{error:?}"),
    }
}
