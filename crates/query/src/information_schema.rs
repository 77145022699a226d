//! What a catalog tells of itself in SQL: `information_schema.schemata`, `tables` and `columns`, with Athena's columns.
//!
//! Only what the query may see is in them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use futures::future::try_join_all;
use iceberg::TableIdent;
use lake::{ErrorKind, ScanCache};

use crate::error::{Error, NO_SUCH_TABLE, Result};
use crate::functions::trino_name;
use crate::listing_other;
use crate::tables::{self, Found, Tables};
use crate::visible::SeenTables;

const SCHEMA: &str = "information_schema";
const TABLES: [&str; 3] = ["columns", "schemata", "tables"];

pub(crate) fn is_meant(database: &str) -> bool {
    database.eq_ignore_ascii_case(SCHEMA)
}

/// The table `name` of the information schema of `catalog`, which holds `tables`.
pub(crate) async fn read(
    tables: &SeenTables,
    cache: &Arc<ScanCache>,
    catalog: &str,
    name: &str,
) -> Result<Arc<dyn TableProvider>> {
    let batch = match name.to_lowercase().as_str() {
        "schemata" => schemata(tables, catalog).await?,
        "tables" => list(tables, catalog).await?,
        "columns" => columns(tables, cache, catalog).await?,
        _ => {
            let error = Error::new(NO_SUCH_TABLE, format!("no table named {SCHEMA}.{name}"));
            return Err(error.with_help(TABLES.map(|name| format!("{SCHEMA}.{name}")).join(", ")));
        }
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("a batch fits its own schema");
    Ok(Arc::new(table))
}

async fn schemata(tables: &SeenTables, catalog: &str) -> Result<RecordBatch> {
    let mut names = tables.list_namespaces().await.map_err(tables::unreadable)?;
    names.sort();
    Ok(batch([
        ("catalog_name", text(names.iter().map(|_| catalog))),
        ("schema_name", text(names.iter().map(|name| name.to_url_string()))),
    ]))
}

async fn list(tables: &SeenTables, catalog: &str) -> Result<RecordBatch> {
    let all = sorted(tables).await?;
    Ok(batch([
        ("table_catalog", text(all.iter().map(|_| catalog))),
        ("table_schema", text(all.iter().map(|table| table.namespace().to_url_string()))),
        ("table_name", text(all.iter().map(TableIdent::name))),
        ("table_type", text(all.iter().map(|_| "BASE TABLE"))),
    ]))
}

async fn columns(tables: &SeenTables, cache: &Arc<ScanCache>, catalog: &str) -> Result<RecordBatch> {
    let all = sorted(tables).await?;
    let loaded = try_join_all(all.iter().map(|table| load(tables, cache, table))).await?;
    let mut rows: Vec<Column> = Vec::new();
    for (ident, found) in all.iter().zip(loaded) {
        let fields = match found {
            Some(Found::Lake(table)) => tables.see(&table).schema(),
            Some(Found::Other(other)) => listing_other::visible_columns(&other, tables),
            None => continue,
        };
        rows.extend(fields.fields().iter().zip(1..).map(|(field, position)| Column {
            schema: ident.namespace().to_url_string(),
            table: ident.name().to_owned(),
            name: field.name().clone(),
            position,
            is_nullable: field.is_nullable(),
            data_type: trino_name(field.data_type()),
        }));
    }
    let nulls: Vec<Option<&str>> = vec![None; rows.len()];
    Ok(batch([
        ("table_catalog", text(rows.iter().map(|_| catalog))),
        ("table_schema", text(rows.iter().map(|row| &row.schema))),
        ("table_name", text(rows.iter().map(|row| &row.table))),
        ("column_name", text(rows.iter().map(|row| &row.name))),
        ("ordinal_position", Arc::new(rows.iter().map(|row| row.position).collect::<Int64Array>())),
        ("column_default", Arc::new(StringArray::from(nulls))),
        ("is_nullable", text(rows.iter().map(|row| if row.is_nullable { "YES" } else { "NO" }))),
        ("data_type", text(rows.iter().map(|row| &row.data_type))),
    ]))
}

struct Column {
    schema: String,
    table: String,
    name: String,
    /// Counted from 1, among those that are seen.
    position: i64,
    is_nullable: bool,
    data_type: String,
}

/// `None` for a table that went away since it was listed, has no schema yet, or is of a kind that we do not read.
async fn load(tables: &SeenTables, cache: &Arc<ScanCache>, table: &TableIdent) -> Result<Option<Found>> {
    match tables::load_exactly(tables, cache, table).await {
        Ok(table) => Ok(Some(table)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Refused) => Ok(None),
        Err(error) => Err(tables::unreadable(error)),
    }
}

async fn sorted(tables: &SeenTables) -> Result<Vec<TableIdent>> {
    let mut all = tables::list_all(tables).await?;
    all.sort_by(|one, other| (one.namespace(), one.name()).cmp(&(other.namespace(), other.name())));
    Ok(all)
}

fn text<T: AsRef<str>>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(schema), columns).expect("the columns are of one length")
}
