use crate::sql::problem::offset;
use crate::sql::statement::{Statement, Uses};

fn problem(sql: &str) -> (String, String) {
    let problem = Statement::parse(sql).expect_err(sql);
    let place = problem.place.map(|place| sql.get(place).unwrap_or("end").to_owned()).unwrap_or_default();
    (format!("{} {}", problem.code, problem.message), place)
}

#[test]
fn all_but_a_projection_and_a_filter_is_refused() {
    let check = |sql: &str, expected: &str| assert_eq!(problem(sql).0, expected, "{sql}");
    check("SELECT a FROM changes, other", "DYN101 a transform reads from `changes`, alone and under that name");
    check("SELECT a FROM other", "DYN101 a transform reads from `changes`, alone and under that name");
    check("SELECT a FROM changes JOIN b ON true", "DYN101 a transform reads from `changes`, alone and under that name");
    check("SELECT DISTINCT a FROM changes", "DYN101 a transform has no DISTINCT");
    check("SELECT a FROM changes GROUP BY a", "DYN101 a transform has no GROUP BY");
    check("SELECT a FROM changes HAVING a", "DYN101 a transform has no HAVING");
    check("SELECT a FROM changes ORDER BY a", "DYN101 a transform has no ORDER BY");
    check("SELECT a FROM changes LIMIT 1", "DYN101 a transform has no LIMIT");
    check("WITH x AS (SELECT 1) SELECT a FROM changes", "DYN101 a transform has no WITH");
    check("SELECT a FROM changes QUALIFY a", "DYN101 a transform has no clauses beyond SELECT, FROM and WHERE");
    check("SELECT a FROM changes UNION SELECT b FROM changes", "DYN101 a transform is one SELECT");
    check("SELECT a FROM changes; SELECT a FROM changes", "DYN101 a transform is one SELECT");
    check("DELETE FROM changes", "DYN101 a transform is one SELECT");
    check("SELECT (SELECT 1) AS x FROM changes", "DYN101 a transform has no sub-queries");
    check("SELECT a FROM changes WHERE a IN (SELECT 1)", "DYN101 a transform has no sub-queries");
    check("SELECT a FROM changes WHERE EXISTS (SELECT 1)", "DYN101 a transform has no sub-queries");
    check("SELECT sum(a) AS x FROM changes", "DYN101 `sum` is an aggregate: a change is one row");
    check("SELECT lower(a) OVER () AS x FROM changes", "DYN101 a transform has no window functions");
    check("SELECT * FROM changes", "DYN101 `*` would let out attributes that nobody has named");
    check("SELECT a + 1 FROM changes", "DYN108 a column that is no bare attribute needs a name");
    check("SELECT a AS Amount FROM changes", "DYN108 `Amount` is not a column name: engines see lower case only");
}

#[test]
fn a_function_is_immutable_and_known_or_refused() {
    let check = |sql: &str, code: &str, place: &str| {
        let (message, found) = problem(sql);
        assert!(message.starts_with(code), "{message}");
        assert_eq!(found, place);
    };
    for volatile in ["random()", "now()", "uuid()", "current_date", "CURRENT_TIMESTAMP"] {
        let name = volatile.trim_end_matches("()");
        check(&format!("SELECT {volatile} AS x FROM changes"), "DYN104", name);
    }
    check("SELECT sha265(a) AS x FROM changes", "DYN103", "sha265");
    check("SELECT arrow_cast(a, 'Int8') AS x FROM changes", "DYN103", "arrow_cast");
    let help = Statement::parse("SELECT sha265(a) AS x FROM changes").unwrap_err().help;
    assert_eq!(help.as_deref(), Some("sha256(…)"));
    assert!(Statement::parse("SELECT LOWER(a) AS x FROM changes").is_ok());
}

#[test]
fn a_mistake_has_its_place() {
    let check = |sql: &str, code: &str, place: &str| {
        let (message, found) = problem(sql);
        assert!(message.starts_with(code), "{message}");
        assert_eq!(found, place, "{message}");
    };
    check("SELECT a,\n  ) FROM changes", "DYN100", ")");
    check("SELECT ä, sum(a) AS x\nFROM changes", "DYN101", "sum");
    assert!(problem("SELEC a FROM changes").0.starts_with("DYN100"));
    assert!(problem("").0.starts_with("DYN10"));
    assert_eq!(offset("SELECT ä,\n b", 2, 2), 12);
}

#[test]
fn names_find_attributes_in_any_case_and_are_counted() {
    let mut statement = Statement::parse(
        r#"SELECT ID, changes.orderId AS o, try_cast(risk AS int) AS r, place.City AS c FROM changes WHERE "risk" > 1"#,
    )
    .unwrap();
    let uses = statement.resolve(["id", "orderId", "risk", "place"].into_iter()).unwrap();
    assert_eq!(uses["risk"], Uses { total: 2, as_text: 1 });
    assert_eq!(uses["orderId"], Uses { total: 1, as_text: 0 });
    let names: Vec<_> = statement.outputs.iter().map(|output| output.name().unwrap()).collect();
    assert_eq!(names, ["id", "o", "r", "c"]);
    assert_eq!(statement.outputs[3].expr.to_string(), r#""place"."city""#);
}

#[test]
fn an_unknown_name_is_refused_with_the_one_that_was_meant() {
    let refuse = |sql: &str, known: &'static [&'static str]| {
        let problem = Statement::parse(sql).unwrap().resolve(known.iter().copied()).expect_err(sql);
        (problem.code, problem.place.map(|place| sql[place].to_owned()), problem.help.unwrap())
    };
    let found = refuse("SELECT amuont FROM changes", &["id", "amount"]);
    assert_eq!(found, ("DYN102", Some("amuont".into()), "amount".into()));
    // Two attributes that differ in case only: the name has to be exact.
    assert_eq!(refuse("SELECT AMOUNT FROM changes", &["Amount", "amount"]).0, "DYN102");
    assert_eq!(refuse(r#"SELECT "AMOUNT" FROM changes"#, &["amount"]).0, "DYN102");
}

#[test]
fn distinct_from_binds_like_any_comparison() {
    let check = |filter: &str, expected: &str| {
        let statement = Statement::parse(&format!("SELECT a FROM changes WHERE {filter}")).unwrap();
        let as_read = statement.filter.unwrap();
        let as_meant = Statement::parse(&format!("SELECT a FROM changes WHERE {expected}")).unwrap().filter.unwrap();
        let bare = |expr: &datafusion::sql::sqlparser::ast::Expr| expr.to_string().replace(['(', ')'], "");
        assert_eq!(bare(&as_read), bare(&as_meant));
        assert_eq!(shape_of(&as_read), shape_of(&as_meant), "{filter}");
    };
    check("a IS DISTINCT FROM 'x' AND b", "(a IS DISTINCT FROM 'x') AND b");
    check("x AND a IS NOT DISTINCT FROM b OR c", "(x AND (a IS NOT DISTINCT FROM b)) OR c");
    check("a IS NOT NULL AND a IS DISTINCT FROM b + 1", "(a IS NOT NULL) AND (a IS DISTINCT FROM (b + 1))");
}

/// The operators from the top down.
fn shape_of(expr: &datafusion::sql::sqlparser::ast::Expr) -> String {
    use datafusion::sql::sqlparser::ast::Expr;
    match expr {
        Expr::Nested(inner) => shape_of(inner),
        Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shape_of(left), shape_of(right)),
        Expr::IsDistinctFrom(left, right) => format!("({} distinct {})", shape_of(left), shape_of(right)),
        Expr::IsNotDistinctFrom(left, right) => format!("({} same {})", shape_of(left), shape_of(right)),
        other => other.to_string(),
    }
}
