//! Runs `tests/sql/*.slt`: statements and their answers, in the format of sqllogictest.
//!
//! `query TIR` names the columns' kinds (text, whole numbers, other numbers); rows follow `----`, a line each, values parted
//! by tabs, with `NULL` and `(empty)`. Behind `statement error` and its statement stand the error's code and message, and two
//! empty lines. With `SLT_WRITE=1` the files are rewritten with what was found, to be read through and committed.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::support::*;

const ERROR: &str = "statement error";

/// A statement, the number of its line, and what is expected of it.
struct Record {
    line: usize,
    sql: String,
    expected: Found,
}

#[derive(PartialEq)]
struct Found {
    /// `query TIR`, or [`ERROR`].
    heading: String,
    lines: Vec<String>,
}

fn records(text: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((heading, line)) = lines.next() {
        if heading.is_empty() || heading.starts_with('#') {
            continue;
        }
        assert!(
            heading.starts_with("query ") || heading == ERROR,
            "line {line}: a record does not start with `{heading}`"
        );
        let mut until = |end: &str| -> Vec<String> {
            lines.by_ref().map(|(text, _)| text.to_owned()).take_while(|text| text != end).collect()
        };
        let sql = until("----").join("\n");
        records.push(Record { line, sql, expected: Found { heading: heading.to_owned(), lines: until("") } });
    }
    records
}

async fn run(engine: &query::Engine, sql: &str) -> Found {
    match engine.query(sql).await {
        Ok(answer) => {
            let rows: Vec<String> = answer.batches.iter().flat_map(rows).collect();
            let lines = rows.join("\n").lines().map(|line| line.trim_end().to_owned()).collect();
            Found { heading: format!("query {}", kinds(&answer.schema)), lines }
        }
        Err(error) => {
            let text = format!("{} {error}", error.code());
            Found { heading: ERROR.to_owned(), lines: text.lines().map(str::to_owned).collect() }
        }
    }
}

fn kinds(schema: &Schema) -> String {
    let kind = |data_type: &DataType| match data_type {
        of if of.is_integer() => 'I',
        of if of.is_numeric() => 'R',
        _ => 'T',
    };
    schema.fields().iter().map(|field| kind(field.data_type())).collect()
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| (column, ArrayFormatter::try_new(column, &options).unwrap())).collect();
    let row = |row: usize| {
        let values = columns.iter().map(|(column, text)| match text.value(row).to_string() {
            _ if column.is_null(row) => "NULL".to_owned(),
            empty if empty.is_empty() => "(empty)".to_owned(),
            text => text,
        });
        values.collect::<Vec<_>>().join("\t")
    };
    (0..batch.num_rows()).map(row).collect()
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
        written.push_str(&format!("{}\n{sql}\n----\n", found.heading));
        found.lines.iter().for_each(|line| written.push_str(&format!("{line}\n")));
        written.push_str(if found.heading == ERROR { "\n\n" } else { "\n" });
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
