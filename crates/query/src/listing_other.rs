//! The answers to SHOW and DESCRIBE about external tables and views.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use lake::ScanCache;

use crate::answer::Answer;
use crate::error::{Error, MEANING, Result};
use crate::external::{ExternalTable, FileFormat, hive_column};
use crate::listing::{self, answer};
use crate::own_tables::{Other, View};
use crate::tables::{self, Found};
use crate::type_name::type_name;
use crate::visible::SeenTables;

/// The columns that can be seen of it.
pub(crate) fn visible_columns(other: &Other, tables: &SeenTables) -> SchemaRef {
    let (database, name, schema) = match other {
        Other::External(table) => (&table.database, &table.name, table.schema()),
        Other::View(view) => (&view.database, &view.name, columns_of(view)),
    };
    let visible = tables.visible_of(database, name, &schema);
    let seen: Vec<FieldRef> = schema.fields().iter().filter(|field| visible.shows(field.name())).cloned().collect();
    Arc::new(Schema::new(seen))
}

fn columns_of(view: &View) -> SchemaRef {
    let columns = view.columns.iter().filter_map(|(name, of)| hive_column(name, of, None));
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
}

pub(crate) fn describe(other: &Other, tables: &SeenTables) -> Answer {
    let schema = visible_columns(other, tables);
    let fields = || schema.fields().iter();
    answer([
        ("column", fields().map(|field| Some(field.name().clone())).collect()),
        ("type", fields().map(|field| Some(type_name(field.data_type()))).collect()),
        ("comment", fields().map(|field| field.metadata().get("doc").cloned()).collect()),
    ])
}

pub(crate) fn create(other: &Other, tables: &SeenTables) -> Result<Answer> {
    let lines = match other {
        Other::View(view) => {
            if visible_columns(other, tables).fields().len() < columns_of(view).fields().len() {
                let error = Error::new(MEANING, format!("not all of view {} can be seen", view.name));
                return Err(error.with_help("SELECT on the whole view"));
            }
            let mut lines = vec![format!("CREATE VIEW {}.{} AS", view.database, view.name)];
            lines.extend(view.sql.lines().map(str::to_owned));
            lines
        }
        Other::External(table) => create_lines(table, &visible_columns(other, tables)),
    };
    let name = if matches!(other, Other::View(_)) { "Create View" } else { "createtab_stmt" };
    Ok(answer([(name, lines.into_iter().map(Some).collect())]))
}

fn create_lines(table: &ExternalTable, visible: &Schema) -> Vec<String> {
    let column = |field: &FieldRef| {
        let comment = field.metadata().get("doc").map(|doc| format!(" COMMENT '{}'", doc.replace('\'', "''")));
        format!("  `{}` {}{}", field.name(), type_name(field.data_type()), comment.unwrap_or_default())
    };
    let shown = |fields: &[FieldRef]| {
        let seen = fields.iter().filter(|field| visible.field_with_name(field.name()).is_ok());
        seen.map(column).collect::<Vec<_>>().join(",\n").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut lines = vec![format!("CREATE EXTERNAL TABLE `{}`.`{}`(", table.database, table.name)];
    lines.extend(shown(&table.columns));
    lines.push(")".to_owned());
    if table.is_partitioned() {
        lines.push("PARTITIONED BY (".to_owned());
        lines.extend(shown(&table.partition_columns));
        lines.push(")".to_owned());
    }
    lines.extend(format_lines(&table.format));
    lines.push("LOCATION".to_owned());
    lines.push(format!("  '{}'", table.location));
    if !table.properties.is_empty() {
        lines.push("TBLPROPERTIES (".to_owned());
        let properties = table.properties.iter().map(|(name, value)| format!("  '{name}'='{value}'"));
        lines.extend(properties.collect::<Vec<_>>().join(",\n").lines().map(str::to_owned));
        lines.push(")".to_owned());
    }
    lines
}

fn format_lines(format: &FileFormat) -> Vec<String> {
    match format {
        FileFormat::Parquet => vec!["STORED AS PARQUET".to_owned()],
        FileFormat::JsonLines { .. } => {
            vec!["ROW FORMAT SERDE".to_owned(), "  'org.openx.data.jsonserde.JsonSerDe'".into()]
        }
        FileFormat::Delimited(format) if format.quote.is_some() => {
            vec!["ROW FORMAT SERDE".to_owned(), "  'org.apache.hadoop.hive.serde2.OpenCSVSerde'".into()]
        }
        FileFormat::Delimited(format) => {
            vec![
                "ROW FORMAT DELIMITED".to_owned(),
                format!("  FIELDS TERMINATED BY '{}'", format.separator.escape_default()),
            ]
        }
    }
}

pub(crate) fn properties(other: &Other) -> Answer {
    let properties = match other {
        Other::External(table) => table.properties.clone(),
        Other::View(_) => Default::default(),
    };
    let (names, values) = properties.into_iter().map(|(name, value)| (Some(name), Some(value))).unzip();
    answer([("prpt_name", names), ("prpt_value", values)])
}

/// A line for each partition: `year=2026/month=11`.
pub(crate) fn partitions(other: &Other, tables: &SeenTables) -> Result<Answer> {
    let refused = |name: &str| Error::new(MEANING, format!("{name} is not partitioned"));
    let table = match other {
        Other::External(table) if table.is_partitioned() => table,
        Other::External(table) => return Err(refused(&table.name)),
        Other::View(view) => return Err(refused(&view.name)),
    };
    let visible = tables.visible_of(&table.database, &table.name, &table.schema());
    let are_seen = table.partition_columns.iter().all(|field| visible.shows(field.name()));
    if visible.row_filter.is_some() || !are_seen {
        let error = Error::new(MEANING, format!("not all partitions of {} can be seen", table.name));
        return Err(error.with_help("SELECT on the whole table"));
    }
    let line = |values: &Vec<Option<String>>| {
        let pairs = table.partition_columns.iter().zip(values).map(|(field, value)| {
            format!("{}={}", field.name(), value.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__"))
        });
        pairs.collect::<Vec<_>>().join("/")
    };
    let mut lines: Vec<String> = table.partitions.iter().map(|partition| line(&partition.values)).collect();
    lines.sort();
    Ok(answer([("partition", lines.into_iter().map(Some).collect())]))
}

/// The views of a database, or of all.
pub(crate) async fn views(
    tables: &SeenTables,
    cache: &Arc<ScanCache>,
    namespace: Option<&str>,
    like: Option<&str>,
) -> Result<Answer> {
    let mut names = Vec::new();
    for ident in tables::list_all(tables).await? {
        let of = ident.namespace().to_url_string();
        let is_meant = namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(&of))
            && like.is_none_or(|like| listing::is_like(ident.name(), like));
        if is_meant && matches!(tables::load_exactly(tables, cache, &ident).await, Ok(Found::Other(Other::View(_)))) {
            names.push(ident.name().to_owned());
        }
    }
    names.sort();
    Ok(answer([("views", names.into_iter().map(Some).collect())]))
}
