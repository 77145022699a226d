//! `dynaberg tables`: one line a table, or one table in full.

mod show;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::TableIdent;
use lake::{Catalog, TableContents};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::cli::{CatalogArgs, Format, TablesArgs, TablesListArgs, TablesVerb};
use crate::failure::{Outcome, with_causes};
use crate::output::{self, timestamp};
use crate::system;

use super::schema::parse_table;
use super::sql::parse_catalog;

/// Tables whose manifests are read at a time.
const CONCURRENT_TABLES: usize = 8;

/// A table, or why it cannot be read.
struct Line {
    name: TableIdent,
    found: Result<Found, lake::Error>,
}

struct Found {
    contents: TableContents,
    snapshots: usize,
    last_commit_ms: Option<i64>,
}

pub async fn run(arguments: TablesArgs) -> Outcome {
    match arguments.verb {
        None => list(arguments.list).await,
        Some(TablesVerb::Show(arguments)) => {
            let name = parse_table(&arguments.table)?;
            let lake = connect(&arguments.common.catalog).await?;
            show::run(&lake, &name, output::format_or_default(arguments.common.output)).await
        }
    }
}

async fn connect(arguments: &CatalogArgs) -> Outcome<Catalog> {
    let catalog = arguments.catalog.as_deref().map(parse_catalog).transpose()?;
    Aws::from_environment(system::ambient()).await?.lake(catalog.as_ref()).await
}

async fn list(arguments: TablesListArgs) -> Outcome {
    let lake = connect(&arguments.catalog).await?;
    let mut names = Vec::new();
    for namespace in lake.list_namespaces().await? {
        names.extend(lake.list_tables(&namespace).await?);
    }
    names.sort_by_key(TableIdent::to_string);
    let reads = names.into_iter().map(|name| async {
        let found = find(&lake, &name).await;
        Ok::<_, lake::Error>(Line { name, found })
    });
    let lines: Vec<Line> = stream::iter(reads).buffered(CONCURRENT_TABLES).try_collect().await?;
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&lines.iter().map(json_of).collect::<Vec<_>>()),
        Format::Table => output::columns(&HEADER, &lines.iter().map(row_of).collect::<Vec<_>>()),
    }
}

async fn find(lake: &Catalog, name: &TableIdent) -> Result<Found, lake::Error> {
    let table = lake.load_table(name).await?;
    Ok(Found {
        contents: TableContents::of(&table).await?,
        snapshots: table.metadata().snapshots().len(),
        last_commit_ms: table.metadata().current_snapshot().map(|snapshot| snapshot.timestamp_ms()),
    })
}

fn json_of(line: &Line) -> Value {
    let name = line.name.to_string();
    match &line.found {
        Err(error) => json!({ "table": name, "error": reason(error) }),
        Ok(Found { contents, snapshots, last_commit_ms }) => json!({
            "table": name,
            "rows": contents.rows(),
            "files": contents.data_files,
            "bytes": contents.data_bytes,
            "small_files": contents.small_files(),
            "deleted_share": contents.deleted_share(),
            "snapshots": snapshots,
            "last_commit_at": last_commit_ms.map(timestamp),
        }),
    }
}

fn reason(error: &lake::Error) -> String {
    match error.kind() {
        lake::ErrorKind::NotFound => "no schema yet, or dropped meanwhile".to_owned(),
        _ => with_causes(error),
    }
}

const HEADER: [&str; 8] = ["table", "rows", "files", "size", "small", "deleted", "snapshots", "last commit"];

fn row_of(line: &Line) -> Vec<String> {
    let name = line.name.to_string();
    match &line.found {
        Err(error) => vec![name, reason(error)],
        Ok(Found { contents, snapshots, last_commit_ms }) => vec![
            name,
            contents.rows().to_string(),
            contents.data_files.to_string(),
            output::bytes(contents.data_bytes),
            contents.small_files().to_string(),
            output::percent(contents.deleted_share()),
            snapshots.to_string(),
            last_commit_ms.map_or_else(|| "-".to_owned(), timestamp),
        ],
    }
}
