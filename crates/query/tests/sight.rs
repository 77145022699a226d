use std::collections::BTreeSet;

use iceberg::spec::PrimitiveType;
use query::{Answer, Error, Sight, Visible, parse_one};

use crate::support::*;

async fn orders() -> LocalLake {
    let lake = LocalLake::new().await;
    let columns = || {
        vec![
            column(1, "id", PrimitiveType::Long),
            column(2, "Region", PrimitiveType::String),
            column(3, "price", PrimitiveType::Long),
        ]
    };
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
    Sight::new(move |namespace, table, _| {
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
