use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use iceberg::TableIdent;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{Literal, PrimitiveType, Schema, Struct, Transform, UnboundPartitionSpec};
use query::{Answer, Context, Engine, EngineOptions, Error, Sight, Visible, parse_one};

use crate::support::*;

fn columns() -> Vec<iceberg::spec::NestedField> {
    vec![
        column(1, "id", PrimitiveType::Long),
        column(2, "Region", PrimitiveType::String),
        column(3, "price", PrimitiveType::Long),
    ]
}

async fn orders() -> LocalLake {
    let lake = LocalLake::new().await;
    let rows = [("1", "EU", "10"), ("2", "US", "20"), ("3", "EU", "30")];
    let rows: Vec<Vec<Option<&str>>> = rows.iter().map(|(a, b, c)| vec![Some(*a), Some(*b), Some(*c)]).collect();
    lake.create("sales", "orders", columns(), &rows).await;
    lake.create("secret", "salaries", columns(), &rows).await;
    lake
}

/// Sees some columns of some rows of `orders`, and no other table.
fn limited(columns: Option<&[&str]>, row_filter: Option<&str>) -> Sight {
    let columns: Option<BTreeSet<String>> =
        columns.map(|columns| columns.iter().map(|column| (*column).to_owned()).collect());
    let row_filter = row_filter.map(str::to_owned);
    Sight::new(move |_, namespace, table, _| {
        let visible = Visible { columns: columns.clone(), row_filter: row_filter.clone() };
        (namespace == "sales" && table == "orders").then_some(visible)
    })
}

async fn ask(lake: &LocalLake, sight: &Sight, sql: &str) -> Result<Answer, Error> {
    lake.engine().answer_within(parse_one(sql)?, sight).await
}

async fn answer(lake: &LocalLake, sight: &Sight, sql: &str) -> Vec<String> {
    lines(&ask(lake, sight, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

#[tokio::test]
async fn rows_and_columns_that_are_not_visible_are_not_there() {
    let lake = orders().await;
    let sight = limited(Some(&["id", "price"]), Some("\"Region\" = 'EU'"));
    for (sql, rows) in [
        ("SELECT * FROM orders ORDER BY id", vec!["1|10", "3|30"]),
        ("SELECT count(*) FROM sales.orders", vec!["2"]),
        ("SELECT a.id FROM orders a JOIN orders b ON a.id = b.id - 2", vec!["1"]),
        ("WITH o AS (SELECT * FROM orders) SELECT sum(price) FROM o WHERE id > 1", vec!["30"]),
        ("SELECT id FROM orders WHERE id = 2 UNION SELECT id FROM orders WHERE price = 20", vec![]),
        ("SELECT id FROM orders ORDER BY id LIMIT 1", vec!["1"]),
        ("SELECT (SELECT max(price) FROM orders)", vec!["30"]),
        ("SHOW TABLES", vec!["sales|orders"]),
        ("SHOW DATABASES", vec!["sales"]),
    ] {
        assert_eq!(answer(&lake, &sight, sql).await, rows, "{sql}");
    }
    let described = answer(&lake, &sight, "DESCRIBE orders").await;
    assert_eq!(described.iter().filter(|line| line.to_lowercase().contains("region")).count(), 0);
}

#[tokio::test]
async fn what_is_hidden_is_neither_found_nor_suggested() {
    let lake = orders().await;
    let sight = limited(Some(&["id"]), None);
    for sql in ["SELECT Region FROM orders", "SELECT id FROM orders WHERE region = 'US'", "SELECT regio FROM orders"] {
        let error = ask(&lake, &sight, sql).await.unwrap_err();
        assert_eq!(error.code(), "DYN201", "{sql}");
        assert!(!format!("{error:?}").contains("Region"), "{sql}: {error:?}");
    }
    for sql in ["SELECT * FROM salaries", "SELECT * FROM secret.salaries", "SELECT * FROM salarie", "DESCRIBE salaries"]
    {
        let error = ask(&lake, &sight, sql).await.unwrap_err();
        assert_eq!(error.code(), "DYN202", "{sql}");
        assert!(!error.help().unwrap_or_default().contains("secret"), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_predicate_is_not_asked_about_hidden_rows() {
    let lake = orders().await;
    let sight = limited(None, Some("\"Region\" = 'EU'"));
    // It would divide by zero on the row of US.
    assert_eq!(answer(&lake, &sight, "SELECT id FROM orders WHERE 60 / (price - 20) = 6").await, ["3"]);
    assert!(ask(&lake, &Sight::everything(), "SELECT id FROM orders WHERE 60 / (price - 20) = 6").await.is_err());
}

#[tokio::test]
async fn a_plan_shows_nothing_beneath_the_barrier() {
    let lake = orders().await;
    let sight = limited(Some(&["id"]), Some("\"Region\" = 'EU'"));
    for sql in [
        "EXPLAIN SELECT * FROM orders",
        "EXPLAIN VERBOSE SELECT id FROM orders",
        "EXPLAIN ANALYZE SELECT * FROM orders",
    ] {
        let plan = answer(&lake, &sight, sql).await.join("\n");
        for hidden in ["Region", "EU", "price", ".parquet"] {
            assert!(!plan.contains(hidden), "{sql} shows {hidden}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn a_row_filter_that_cannot_be_read_shows_nothing() {
    let lake = orders().await;
    for broken in ["nothing = 1", "id IN (SELECT id FROM secret.salaries)", "id = 1; SELECT 2", ")", ""] {
        let error = ask(&lake, &limited(None, Some(broken)), "SELECT * FROM orders").await;
        assert!(error.is_err(), "{broken}: {:?}", error.map(|answer| lines(&answer)));
    }
}

/// The statement fails as for a table that is not there, and says nothing of what is hidden.
async fn is_not_found(lake: &LocalLake, sight: &Sight, sql: &str) {
    let error = ask(lake, sight, sql).await.map(|answer| lines(&answer)).unwrap_err();
    assert_eq!(error.code(), "DYN202", "{sql}: {error:?}");
    assert!(error.to_string().starts_with("no table named "), "{sql}: {error:?}");
    let help = error.help().unwrap_or_default();
    assert!(!help.contains("secret") && !format!("{error:?}").contains("Region"), "{sql}: {error:?}");
}

#[tokio::test]
async fn metadata_tables_need_the_whole_table() {
    let lake = orders().await;
    let whole = limited(None, None);
    let every_column = limited(Some(&["id", "region", "price"]), None);
    for kind in ["files", "history", "manifests", "partitions", "refs", "snapshots", "nothing"] {
        let sql = format!("SELECT count(*) FROM \"orders${kind}\"");
        // A column that was dropped is in none of the sets.
        for sight in [&every_column, &limited(Some(&["id"]), None), &limited(None, Some("id = 1"))] {
            is_not_found(&lake, sight, &sql).await;
            is_not_found(&lake, sight, &format!("{sql} FOR VERSION AS OF 'main'")).await;
        }
        if kind != "nothing" {
            assert_eq!(answer(&lake, &whole, &sql).await, ["1"], "{sql}");
        }
        is_not_found(&lake, &whole, &format!("SELECT * FROM \"salaries${kind}\"")).await;
        is_not_found(&lake, &whole, &format!("SELECT * FROM secret.\"salaries${kind}\"")).await;
    }
}

#[tokio::test]
async fn listings_tell_of_visible_columns_only() {
    let lake = orders().await;
    let ident = TableIdent::from_strs(["sales", "orders"]).unwrap();
    let properties = [("owner", "me"), ("write.metadata.metrics.column.Region", "full"), ("sort", "price asc")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    lake.change(&ident, |metadata| metadata.set_properties(HashMap::from(properties))).await;
    let sight = limited(Some(&["id"]), Some("\"Region\" = 'EU'"));
    for (sql, rows) in [
        ("DESCRIBE orders", vec!["id|bigint|null"]),
        ("SHOW COLUMNS IN orders", vec!["id|bigint|null"]),
        ("SHOW TBLPROPERTIES orders", vec!["owner|me"]),
        ("SHOW TABLES LIKE '%a%'", vec![]),
        ("SHOW DATABASES LIKE 's%'", vec!["sales"]),
    ] {
        assert_eq!(answer(&lake, &sight, sql).await, rows, "{sql}");
    }
    let hidden = ask(&lake, &sight, "SHOW TABLES IN secret").await.unwrap_err();
    assert_eq!(hidden.to_string(), "no database named secret");
    let created = answer(&lake, &sight, "SHOW CREATE TABLE orders").await.join("\n").to_lowercase();
    assert!(created.contains("`id` bigint"), "{created}");
    assert!(!created.contains("region") && !created.contains("price"), "{created}");
    for statement in ["DESCRIBE", "SHOW COLUMNS IN", "SHOW CREATE TABLE", "SHOW TBLPROPERTIES", "SHOW PARTITIONS"] {
        is_not_found(&lake, &sight, &format!("{statement} secret.salaries")).await;
    }
}

#[tokio::test]
async fn partitions_are_those_of_visible_columns_and_rows() {
    let lake = LocalLake::new().await;
    lake.create("sales", "orders", columns(), &[]).await;
    let ident = TableIdent::from_strs(["sales", "orders"]).unwrap();
    let spec = UnboundPartitionSpec::builder();
    let spec = spec.add_partition_field(2, "Region", Transform::Identity).unwrap();
    let spec = spec.add_partition_field(3, "price_bucket", Transform::Bucket(4)).unwrap().build();
    lake.change(&ident, |metadata| metadata.add_default_partition_spec(spec)).await;
    let schema = Schema::builder().with_fields(columns().into_iter().map(Arc::new)).build().unwrap();
    let schema = Arc::new(schema_to_arrow_schema(&schema).unwrap());
    for (region, bucket) in [("EU", 1), ("EU", 2), ("US", 1)] {
        let ids = || Arc::new(Int64Array::from(vec![1]));
        let regions = Arc::new(StringArray::from(vec![region]));
        let batch = RecordBatch::try_new(schema.clone(), vec![ids(), regions, ids()]).unwrap();
        let partition = Struct::from_iter([Some(Literal::string(region)), Some(Literal::int(bucket))]);
        lake.append_file(&ident, batch, HashMap::new(), partition).await;
    }
    let all = ["Region=EU/price_bucket=1", "Region=EU/price_bucket=2", "Region=US/price_bucket=1"];
    assert_eq!(sorted(answer(&lake, &limited(None, None), "SHOW PARTITIONS orders").await), all);
    let of_region = limited(Some(&["region"]), None);
    assert_eq!(sorted(answer(&lake, &of_region, "SHOW PARTITIONS orders").await), ["Region=EU", "Region=US"]);
    let created = answer(&lake, &of_region, "SHOW CREATE TABLE orders").await.join("\n");
    assert!(created.contains("PARTITIONED BY (`Region`)") && !created.contains("price"), "{created}");
    assert!(answer(&lake, &limited(Some(&["id"]), None), "SHOW PARTITIONS orders").await.is_empty());
    let of_rows = limited(None, Some("\"Region\" = 'EU'"));
    let error = ask(&lake, &of_rows, "SHOW PARTITIONS orders").await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("DYN202", "no table named orders"));
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[tokio::test]
async fn an_earlier_version_shows_what_is_visible_now() {
    let lake = orders().await;
    let ident = TableIdent::from_strs(["sales", "orders"]).unwrap();
    let versions = lake.lines("SELECT snapshot_id FROM sales.\"orders$snapshots\"").await;
    let version = format!("FOR VERSION AS OF {}", versions[0]);
    // What was `price` is `amount`, what was `id` is `price`, and `Region` is gone.
    let renamed = [column(1, "price", PrimitiveType::Long), column(3, "amount", PrimitiveType::Long)];
    let renamed = Schema::builder().with_fields(renamed.map(Arc::new)).build().unwrap();
    lake.change(&ident, |metadata| metadata.add_current_schema(renamed)).await;

    let select = |what: &str| format!("SELECT {what} FROM orders {version} ORDER BY 1");
    let rows = async |sight: &Sight, sql: &str| answer(&lake, sight, sql).await;
    assert_eq!(rows(&limited(None, None), &select("*")).await, ["1|EU|10", "2|US|20", "3|EU|30"]);
    assert_eq!(rows(&limited(Some(&["price"]), None), &select("*")).await, ["1", "2", "3"]);
    assert_eq!(rows(&limited(Some(&["amount"]), None), &select("*")).await, ["10", "20", "30"]);
    let filtered = limited(Some(&["price"]), Some("amount >= 20 AND price < 3"));
    assert_eq!(rows(&filtered, &select("*")).await, ["2"]);
    assert_eq!(rows(&filtered, &select("count(*)")).await, ["1"]);
    assert_eq!(rows(&limited(None, Some("amount = 10")), &select("*")).await, ["1|EU|10"]);
    assert_eq!(rows(&filtered, &format!("SELECT n.price, o.id FROM orders n, orders {version} o")).await, ["2|2"]);
    for (sight, what) in [(&filtered, "price"), (&filtered, "region"), (&limited(Some(&["amount"]), None), "id")] {
        assert_eq!(ask(&lake, sight, &select(what)).await.unwrap_err().code(), "DYN201", "{what}");
    }
    // The filter means a column that is not there any more.
    assert!(ask(&lake, &limited(None, Some("\"Region\" = 'EU'")), &select("*")).await.is_err());

    is_not_found(&lake, &filtered, "SELECT * FROM secret.salaries FOR VERSION AS OF 'main'").await;
    is_not_found(&lake, &filtered, "SELECT * FROM salaries FOR TIMESTAMP AS OF current_timestamp").await;
    let error = ask(&lake, &filtered, "SELECT * FROM orders FOR VERSION AS OF 12").await.unwrap_err();
    assert_eq!((error.code(), error.help()), ("DYN210", None));
}

#[tokio::test]
async fn a_sight_is_asked_about_the_catalog_that_is_named() {
    let catalogs =
        || vec![("AwsDataCatalog", "own"), ("s3tablescatalog/Open", "open"), ("s3tablescatalog/hidden", "no")];
    let mut lakes = Vec::new();
    for (name, id) in catalogs() {
        let lake = LocalLake::new().await;
        lake.create("sales", "orders", vec![column(1, "id", PrimitiveType::String)], &[vec![Some(id)]]).await;
        lakes.push((name, lake));
    }
    let single = lakes[0].1.engine_with(EngineOptions {
        default_catalog: Some("s3tablescatalog/own".to_owned()),
        ..EngineOptions::default()
    });
    let engine = Engine::over(Buckets(lakes), ambient::Ambient::fixed(NOON_MS), EngineOptions::default()).unwrap();
    // Whole in the engine's own, one row in another, nothing in the third.
    let sight = Sight::new(|catalog, _, _, _| match catalog {
        None => Some(Visible::default()),
        Some("s3tablescatalog/Open") => Some(Visible { row_filter: Some("id <> 'open'".to_owned()), columns: None }),
        Some(_) => None,
    });
    let ask = async |engine: &Engine, context: Option<&str>, sql: &str| {
        let context = Context { catalog: context.map(str::to_owned), ..Context::default() };
        match engine.answer_in_within(&context, parse_one(sql).unwrap(), &sight).await {
            Ok(answer) => lines(&answer).join(","),
            Err(error) => format!("{error}; {}", error.help().unwrap_or_default()),
        }
    };
    let from = |catalog: &str| format!("SELECT id FROM \"{catalog}\".sales.orders");
    assert_eq!(ask(&engine, None, "SELECT id FROM orders").await, "own");
    for catalog in ["AwsDataCatalog", "awsdatacatalog"] {
        assert_eq!(ask(&engine, None, &from(catalog)).await, "own");
        assert_eq!(ask(&engine, Some(catalog), "SELECT id FROM orders").await, "own");
        assert_eq!(ask(&single, None, &from(catalog)).await, "own");
    }
    assert_eq!(ask(&single, None, &from("s3tablescatalog/own")).await, "own");
    for catalog in ["s3tablescatalog/Open", "S3TablesCatalog/open"] {
        assert_eq!(ask(&engine, None, &from(catalog)).await, "");
        assert_eq!(ask(&engine, Some(catalog), "SELECT id FROM orders").await, "");
        assert_eq!(ask(&engine, Some(catalog), "SHOW TABLES").await, "sales|orders");
        let files = format!("SELECT * FROM \"{catalog}\".sales.\"orders$files\"");
        assert!(ask(&engine, None, &files).await.starts_with("no table named sales.orders$files;"));
    }
    for catalog in ["s3tablescatalog/hidden", "s3tablescatalog/hiddem"] {
        let error = ask(&engine, None, &from(catalog)).await;
        assert!(error.starts_with(&format!("no catalog named {catalog};")) && !error.ends_with("hidden\""), "{error}");
        assert_eq!(ask(&engine, Some(catalog), "SHOW DATABASES").await, error, "{catalog}");
    }
}
