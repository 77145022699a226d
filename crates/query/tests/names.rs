use iceberg::spec::PrimitiveType;
use query::EngineOptions;

use crate::support::*;

async fn two_namespaces() -> LocalLake {
    let lake = LocalLake::new().await;
    let columns = || vec![column(1, "orderId", PrimitiveType::String), column(2, "price", PrimitiveType::Long)];
    lake.create("sales", "orders", columns(), &[vec![Some("a"), Some("1")]]).await;
    lake.create("archive", "orders", columns(), &[vec![Some("z"), Some("26")]]).await;
    lake.create("sales", "Returns", columns(), &[vec![Some("r"), Some("5")]]).await;
    lake
}

#[tokio::test]
async fn a_table_is_found_by_namespace_or_where_only_one_has_it() {
    let lake = two_namespaces().await;
    assert_eq!(lake.lines("SELECT price FROM sales.orders").await, ["1"]);
    assert_eq!(lake.lines("SELECT price FROM archive.orders").await, ["26"]);
    assert_eq!(lake.lines("SELECT price FROM returns").await, ["5"]);
    assert_eq!(lake.lines("SELECT a.price, b.price FROM sales.orders a, archive.orders b").await, ["1|26"]);
    let error = lake.error("SELECT price FROM orders").await;
    assert_eq!(error.code(), "DYN203");
    assert!(error.help().unwrap().contains("sales.orders"), "{error:?}");

    let options = EngineOptions { default_namespace: Some("archive".to_owned()), ..EngineOptions::default() };
    let engine = lake.engine_with(options);
    assert_eq!(lines(&engine.query("SELECT price FROM orders").await.unwrap()), ["26"]);
    assert_eq!(lines(&engine.query("SELECT price FROM sales.orders").await.unwrap()), ["1"]);
    assert_eq!(lines(&engine.query("SELECT price FROM returns").await.unwrap()), ["5"]);
}

#[tokio::test]
async fn unquoted_names_may_be_written_in_any_case() {
    let lake = two_namespaces().await;
    for sql in [
        "SELECT ORDERID FROM SALES.ORDERS",
        "SELECT orderId FROM sales.orders",
        r#"SELECT "orderId" FROM sales.orders"#,
        "SELECT o.ORDERID FROM sales.orders o WHERE orderid = 'a' GROUP BY o.orderId ORDER BY orderid",
        "SELECT x FROM (SELECT orderid AS x, PRICE FROM sales.orders)",
        "EXPLAIN SELECT orderid FROM sales.orders",
        "SELECT orderid FROM (SELECT upper(orderid) AS orderid FROM sales.orders) WHERE orderid = 'A' UNION SELECT 'a' LIMIT 1",
    ] {
        let rows = lake.lines(sql).await;
        assert!(rows == ["a"] || rows == ["A"] || sql.starts_with("EXPLAIN"), "{sql}: {rows:?}");
    }
    assert_eq!(lake.lines("SELECT Price, RETURNS.orderid FROM Returns").await, ["5|r"]);
    assert!(lake.error(r#"SELECT "ORDERID" FROM sales.orders"#).await.code() == "DYN201");
}

#[tokio::test]
async fn a_table_that_is_not_there_is_met_with_one_that_is() {
    let lake = two_namespaces().await;
    let check = async |sql: &str, message: &str, help: &str| {
        let error = lake.error(sql).await;
        assert_eq!((error.code(), error.to_string().as_str(), error.help()), ("DYN202", message, Some(help)));
    };
    check("SELECT 1 FROM sales.retruns", "no table named sales.retruns", "sales.Returns").await;
    check("SELECT 1 FROM xyz", "no table named xyz", "SHOW TABLES").await;
    check("SELECT 1 FROM a.b.c", "no catalog named a", "name the table as b.c").await;
    check("DESCRIBE nothing", "no table named nothing", "SHOW TABLES").await;
}

#[tokio::test]
async fn a_table_named_twice_is_read_at_one_snapshot() {
    let lake = two_namespaces().await;
    let answer =
        lake.engine().query("SELECT count(*) FROM returns a, sales.returns b, archive.orders c").await.unwrap();
    assert_eq!(lines(&answer), ["1"]);
    let names: Vec<&str> = answer.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["archive.orders", "sales.Returns"]);
}

#[tokio::test]
async fn a_table_is_named_by_catalog_database_and_table() {
    let buckets = Buckets(vec![
        ("AwsDataCatalog", two_namespaces().await),
        ("s3tablescatalog/streamtablebucket", transactions().await),
    ]);
    let engine = query::Engine::over(buckets, ambient::Ambient::fixed(NOON_MS), EngineOptions::default()).unwrap();
    let context = query::Context {
        catalog: Some("s3tablescatalog/streamtablebucket".to_owned()),
        database: Some("analytics".to_owned()),
        ..query::Context::default()
    };
    let check = async |context: &query::Context, sql: &str, expected: &str| {
        let query = query::parse(sql).unwrap().remove(0);
        match engine.answer_in(context, query).await {
            Ok(answer) => assert_eq!(lines(&answer), [expected], "{sql}"),
            Err(error) => assert_eq!(format!("{} {error}", error.code()), expected, "{sql}"),
        }
    };
    let default = query::Context::default();
    check(&default, r#"SELECT count(*) FROM "s3tablescatalog/streamtablebucket"."analytics"."transactions""#, "6")
        .await;
    check(&default, r#"SELECT count(*) FROM "s3tablescatalog/streamtablebucket".analytics.transactions t WHERE t.date = DATE '2026-11-22'"#, "4").await;
    check(&default, r#"SELECT count(*) FROM "s3tablescatalog/streamtablebucket".analytics."transactions$files""#, "1")
        .await;
    check(&default, "SELECT price FROM AwsDataCatalog.sales.orders", "1").await;
    check(&default, r#"SELECT price FROM "AwsDataCatalog".archive.orders"#, "26").await;
    check(
        &default,
        r#"SELECT count(*) FROM sales.orders, "s3tablescatalog/streamtablebucket".analytics.transactions"#,
        "6",
    )
    .await;
    check(&context, "SELECT count(*) FROM transactions", "6").await;
    check(&context, "SELECT count(*) FROM analytics.transactions", "6").await;
    check(&context, "SELECT count(*) FROM awsdatacatalog.sales.orders", "1").await;
    check(&context, "SHOW TABLES", "analytics|transactions").await;
    check(&context, "SHOW DATABASES", "analytics").await;
    check(&default, "SHOW TABLES IN archive", "archive|orders").await;
    check(&context, "SELECT count(*) FROM sales.orders", "DYN202 no table named sales.orders").await;
    check(
        &default,
        r#"SELECT 1 FROM "s3tablescatalog/streambucket".analytics.transactions"#,
        "DYN202 no catalog named s3tablescatalog/streambucket",
    )
    .await;
}
