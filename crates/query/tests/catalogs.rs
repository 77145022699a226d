//! Several catalogs in one query, links between them, and what a catalog tells of itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iceberg::spec::PrimitiveType;
use query::{Catalogs, Context, Engine, EngineOptions, Link, LinkedCatalogs, Sight, Visible, parse_one};

use crate::support::*;

const FIRST: &str = "s3tablescatalog/first";
const SECOND: &str = "s3tablescatalog/second";

/// Two table buckets; `AwsDataCatalog` has `shop`, a link to the first one's `sales`, and `nowhere`.
async fn engine() -> Engine {
    let columns = || vec![column(1, "id", PrimitiveType::String), column(2, "price", PrimitiveType::Long)];
    let (first, second) = (LocalLake::new().await, LocalLake::new().await);
    first.create("sales", "orders", columns(), &[vec![Some("a"), Some("10")], vec![Some("b"), Some("20")]]).await;
    first.create("secret", "salaries", columns(), &[vec![Some("x"), Some("1")]]).await;
    second.create("sales", "orders", columns(), &[vec![Some("a"), Some("3")]]).await;
    let link =
        |catalog: &str, database: &str| Some(Link { catalog: catalog.to_owned(), database: database.to_owned() });
    let links = [("shop", link(FIRST, "sales")), ("gone", link("s3tablescatalog/gone", "sales")), ("default", None)];
    let links: BTreeMap<String, Option<Link>> = links.into_iter().map(|(name, link)| (name.to_owned(), link)).collect();
    let catalogs = LinkedCatalogs {
        catalogs: Arc::new(Buckets(vec![(FIRST, first), (SECOND, second)])) as Arc<dyn Catalogs>,
        links: Arc::new(links),
        own: None,
        aliases: Arc::new(HashMap::from([("mine".to_owned(), SECOND.to_owned())])),
    };
    Engine::over(catalogs, ambient::Ambient::fixed(NOON_MS), EngineOptions::default()).unwrap()
}

async fn ask(engine: &Engine, context: &Context, sight: &Sight, sql: &str) -> Vec<String> {
    match engine.answer_in_within(context, parse_one(sql).unwrap(), sight).await {
        Ok(answer) => lines(&answer),
        Err(error) => vec![format!("{} {error}", error.code())],
    }
}

fn within(catalog: &str, database: Option<&str>) -> Context {
    Context { catalog: Some(catalog.to_owned()), database: database.map(str::to_owned), ..Context::default() }
}

#[tokio::test]
async fn one_query_reads_several_table_buckets_and_links() {
    let engine = engine().await;
    let check = async |context: Context, sql: &str, expected: &[&str]| {
        assert_eq!(ask(&engine, &context, &Sight::everything(), sql).await, expected, "{sql}");
    };
    let joined = r#"SELECT o.id, o.price, p.price FROM "s3tablescatalog/first".sales.orders o
        JOIN "s3tablescatalog/second".sales.orders p ON o.id = p.id"#;
    check(Context::default(), joined, &["a|10|3"]).await;
    check(Context::default(), "SELECT sum(price) FROM AwsDataCatalog.shop.orders", &["30"]).await;
    check(Context::default(), "SELECT sum(price) FROM SHOP.Orders", &["30"]).await;
    check(within("AwsDataCatalog", Some("shop")), "SELECT sum(price) FROM orders", &["30"]).await;
    check(Context::default(), "SELECT sum(price) FROM mine.sales.orders", &["3"]).await;
    check(within("MINE", None), "SELECT sum(price) FROM orders", &["3"]).await;
    // A link and the table itself are one table, at one snapshot.
    let both = r#"SELECT count(*) FROM shop.orders a, "s3tablescatalog/first".sales.orders b WHERE a.id = b.id"#;
    check(Context::default(), both, &["2"]).await;
    check(Context::default(), "SHOW DATABASES", &["default", "gone", "shop"]).await;
    check(Context::default(), "SHOW TABLES IN shop", &["shop|orders"]).await;
    check(Context::default(), "SHOW TABLES IN gone", &[]).await;
    check(Context::default(), r#"SHOW TABLES IN "s3tablescatalog/first".secret"#, &["secret|salaries"]).await;
    check(Context::default(), r#"SHOW SCHEMAS IN "s3tablescatalog/first""#, &["sales", "secret"]).await;
    check(within(FIRST, Some("nothing")), "SHOW TABLES", &["DYN202 no database named nothing"]).await;
    check(Context::default(), "SELECT 1 FROM gone.orders", &["DYN202 no table named gone.orders"]).await;
    check(Context::default(), "SELECT 1 FROM default.orders", &["DYN202 no table named default.orders"]).await;
}

#[tokio::test]
async fn the_information_schema_tells_what_is_visible() {
    let engine = engine().await;
    let everything = Sight::everything();
    let schemata = "SELECT schema_name FROM information_schema.schemata ORDER BY 1";
    assert_eq!(ask(&engine, &within(FIRST, None), &everything, schemata).await, ["sales", "secret"]);
    let tables = r#"SELECT * FROM "s3tablescatalog/first".information_schema.tables WHERE table_schema = 'sales'"#;
    let expected = ["s3tablescatalog/first|sales|orders|BASE TABLE"];
    assert_eq!(ask(&engine, &Context::default(), &everything, tables).await, expected);
    let columns = "SELECT * FROM INFORMATION_SCHEMA.Columns WHERE table_name = 'orders' ORDER BY ordinal_position";
    let expected =
        ["awsdatacatalog|shop|orders|id|1|null|YES|varchar", "awsdatacatalog|shop|orders|price|2|null|YES|bigint"];
    assert_eq!(ask(&engine, &Context::default(), &everything, columns).await, expected);
    let joined = "SELECT t.table_name, count(*) FROM information_schema.tables t JOIN information_schema.columns c
        ON t.table_name = c.table_name GROUP BY 1 ORDER BY 1";
    assert_eq!(ask(&engine, &within(FIRST, None), &everything, joined).await, ["orders|2", "salaries|2"]);
    let unknown = ask(&engine, &Context::default(), &everything, "SELECT 1 FROM information_schema.routines").await;
    assert_eq!(unknown, ["DYN202 no table named information_schema.routines"]);

    // Of the whole lake, one column of one table.
    let limited = Sight::new(|catalog, database, table, _| {
        let columns = Some(["price".to_owned()].into());
        let is_seen = (catalog, database, table) == (Some(FIRST), "sales", "orders");
        is_seen.then_some(Visible { columns, row_filter: None })
    });
    let context = within(FIRST, None);
    assert_eq!(ask(&engine, &context, &limited, schemata).await, ["sales"]);
    let names = "SELECT table_name FROM information_schema.tables";
    assert_eq!(ask(&engine, &context, &limited, names).await, ["orders"]);
    let columns = "SELECT column_name, ordinal_position FROM information_schema.columns";
    assert_eq!(ask(&engine, &context, &limited, columns).await, ["price|1"]);
    assert_eq!(ask(&engine, &Context::default(), &limited, names).await, [""; 0]);
    let other = r#"SELECT table_name FROM "s3tablescatalog/second".information_schema.tables"#;
    let hidden = ["DYN202 no catalog named s3tablescatalog/second"];
    assert_eq!(ask(&engine, &Context::default(), &limited, other).await, hidden);
}

#[tokio::test]
async fn a_link_shows_no_more_than_what_it_leads_to() {
    let engine = engine().await;
    // What the grants say of `shop.orders` is what they say of the first bucket's `sales.orders`.
    let sight = Sight::new(|catalog, database, table, _| {
        let is_linked = (catalog, database, table) == (None, "shop", "orders");
        is_linked.then_some(Visible { columns: None, row_filter: Some("price > 10".to_owned()) })
    });
    let check = async |sql: &str, expected: &[&str]| {
        assert_eq!(ask(&engine, &Context::default(), &sight, sql).await, expected, "{sql}");
    };
    check("SELECT * FROM shop.orders", &["b|20"]).await;
    check("SELECT * FROM orders", &["b|20"]).await;
    check("SELECT count(*) FROM shop.orders a, shop.orders b", &["1"]).await;
    check("SHOW DATABASES", &["shop"]).await;
    let direct = r#"SELECT * FROM "s3tablescatalog/first".sales.orders"#;
    check(direct, &["DYN202 no catalog named s3tablescatalog/first"]).await;
}
