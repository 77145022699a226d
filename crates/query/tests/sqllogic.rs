//! Runs `tests/sql/*.slt`: statements and their answers, in the manner of sqllogictest.
//!
//! `query`, the statement, `----`, a line per row with values parted by bars; or `error`, the statement, `----`, and the
//! error's code and message. An empty line ends a record. With `SLT_WRITE=1` the files are rewritten with what was
//! found, to be read through and committed.

use std::path::Path;

use crate::support::*;

/// A statement, the number of its line, and what is expected of it.
struct Record {
    line: usize,
    sql: String,
    expected: Found,
}

#[derive(PartialEq)]
struct Found {
    kind: &'static str,
    lines: Vec<String>,
}

fn records(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((kind, line)) = lines.next() {
        let kind = match kind {
            "query" => "query",
            "error" => "error",
            other if other.is_empty() || other.starts_with('#') => continue,
            other => panic!("line {line}: a record starts with `query` or `error`, not `{other}`"),
        };
        let mut until = |end: &str| -> Vec<String> {
            lines.by_ref().map(|(text, _)| text.to_owned()).take_while(|text| text != end).collect()
        };
        let sql = until("----").join("\n");
        records.push(Record { line, sql, expected: Found { kind, lines: until("") } });
    }
    records
}

async fn run(engine: &query::Engine, sql: &str) -> Found {
    match engine.query(sql).await {
        Ok(answer) => {
            let lines = lines(&answer).join("\n");
            Found { kind: "query", lines: lines.lines().map(|line| line.trim_end().to_owned()).collect() }
        }
        Err(error) => Found { kind: "error", lines: vec![format!("{} {error}", error.code())] },
    }
}

async fn check(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let lake = transactions().await;
    orders(&lake).await;
    let engine = lake.engine();
    let (mut wrong, mut written) = (Vec::new(), String::new());
    for Record { line, sql, expected } in records(&text) {
        let found = run(&engine, &sql).await;
        written.push_str(
            &format!("{}\n{sql}\n----\n{}\n\n", found.kind, found.lines.join("\n")).replace("----\n\n\n", "----\n\n"),
        );
        if found != expected {
            let (expected, found) = (expected.lines.join("\n"), found.lines.join("\n"));
            wrong.push(format!("{file}:{line}: {sql}\nexpected\n{expected}\nfound\n{found}"));
        }
    }
    if std::env::var_os("SLT_WRITE").is_some() {
        return std::fs::write(&path, written).unwrap();
    }
    assert!(wrong.is_empty(), "{} statements answered otherwise\n\n{}", wrong.len(), wrong.join("\n\n"));
}

macro_rules! suites {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            check(concat!(stringify!($name), ".slt")).await;
        }
    )*};
}

suites! { aggregates, arrays_and_maps, conditions, dates, errors, json, lambdas, listings, nested, numbers, relations, text, windows }
