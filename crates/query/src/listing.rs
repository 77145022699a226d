//! The answers to SHOW and DESCRIBE.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::kernels::comparison::ilike;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use iceberg::spec::Transform;
use lake::LakeTable;

use crate::answer::{Answer, TableRead};
use crate::error::{Error, NO_SUCH_TABLE, Result};
use crate::tables::{self, Tables};
use crate::type_name::type_name;
use crate::visible::{SeenTables, Visible};

/// The namespaces whose name is LIKE `like`.
pub(crate) async fn namespaces(tables: &dyn Tables, like: Option<&str>) -> Result<Answer> {
    let namespaces = tables.list_namespaces().await.map_err(tables::unreadable)?;
    let names = namespaces.iter().map(|namespace| namespace.to_url_string());
    let mut names: Vec<String> = names.filter(|name| like.is_none_or(|like| is_like(name, like))).collect();
    names.sort();
    Ok(answer([("namespace", names.into_iter().map(Some).collect())]))
}

/// The tables of `namespace`, or of all; of these, those whose name is LIKE `like`.
pub(crate) async fn list_tables(tables: &dyn Tables, namespace: Option<&str>, like: Option<&str>) -> Result<Answer> {
    if let Some(named) = namespace {
        check_namespace(tables, named).await?;
    }
    let mut rows: Vec<(String, String)> = (tables::list_all(tables).await?.into_iter())
        .map(|ident| (ident.namespace().to_url_string(), ident.name().to_owned()))
        .filter(|(of, _)| namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(of)))
        .filter(|(_, name)| like.is_none_or(|like| is_like(name, like)))
        .collect();
    rows.sort();
    let (namespaces, names) = rows.into_iter().map(|(namespace, name)| (Some(namespace), Some(name))).unzip();
    Ok(answer([("namespace", namespaces), ("table", names)]))
}

async fn check_namespace(tables: &dyn Tables, namespace: &str) -> Result<()> {
    let namespaces = tables.list_namespaces().await.map_err(tables::unreadable)?;
    if namespaces.iter().any(|known| known.to_url_string().eq_ignore_ascii_case(namespace)) {
        return Ok(());
    }
    Err(Error::new(NO_SUCH_TABLE, format!("no database named {namespace}")).with_help("SHOW DATABASES"))
}

pub(crate) fn is_like(name: &str, pattern: &str) -> bool {
    let text = |text: &str| StringArray::from(vec![text]);
    ilike(&text(name), &text(pattern)).is_ok_and(|like| like.value(0))
}

/// Describes the columns of `table` that are seen in `tables`.
pub(crate) fn describe(table: &LakeTable, tables: &SeenTables) -> Answer {
    let schema = tables.see(table).schema();
    let documented = table.columns().as_struct();
    let names = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
    let types = schema.fields().iter().map(|field| Some(type_name(field.data_type()))).collect();
    let comment = |field: &Arc<Field>| documented.field_by_name(field.name()).and_then(|field| field.doc.clone());
    let comments = schema.fields().iter().map(comment).collect();
    let described = answer([("column", names), ("type", types), ("comment", comments)]);
    Answer { tables: vec![TableRead::of(table, tables)], ..described }
}

/// The statement that would make what is visible of the table, a line per row, as Athena has it for Iceberg.
pub(crate) fn create(table: &LakeTable, visible: &Visible) -> Answer {
    let ident = table.table().identifier();
    let metadata = table.table().metadata();
    let columns: Vec<String> = (table.schema().fields().iter().zip(table.columns().as_struct().fields()))
        .filter(|(field, _)| visible.shows(field.name()))
        .map(|(field, column)| {
            let comment = column.doc.as_ref().map(|doc| format!(" COMMENT '{}'", doc.replace('\'', "''")));
            format!("  `{}` {}{}", field.name(), type_name(field.data_type()), comment.unwrap_or_default())
        })
        .collect();
    let partitions: Vec<String> = (metadata.default_partition_spec().fields().iter())
        .filter(|field| visible.shows_field(table.columns(), field.source_id))
        .filter_map(|field| {
            let column = table.columns().name_by_field_id(field.source_id)?;
            Some(match field.transform {
                Transform::Identity => format!("`{column}`"),
                Transform::Bucket(n) => format!("bucket({n}, `{column}`)"),
                Transform::Truncate(n) => format!("truncate({n}, `{column}`)"),
                transform => format!("{transform}(`{column}`)"),
            })
        })
        .collect();
    let mut lines = vec![format!("CREATE TABLE `{}`.`{}` (", ident.namespace().to_url_string(), ident.name())];
    lines.extend(columns.join(",\n").lines().map(str::to_owned));
    match partitions.is_empty() {
        true => lines.push(")".to_owned()),
        false => lines.push(format!(") PARTITIONED BY ({})", partitions.join(", "))),
    }
    lines.push("LOCATION".to_owned());
    lines.push(format!("  '{}'", metadata.location()));
    lines.push("TBLPROPERTIES (".to_owned());
    lines.push("  'table_type'='iceberg'".to_owned());
    lines.push(")".to_owned());
    answer([("createtab_stmt", lines.into_iter().map(Some).collect())])
}

/// The table's properties, but for those that speak of a column that is not visible.
pub(crate) fn properties(table: &LakeTable, visible: &Visible) -> Answer {
    let metadata = table.table().metadata();
    let schemas = metadata.schemas_iter().filter(|_| visible.columns.is_some());
    let columns = schemas.flat_map(|schema| schema.as_struct().fields()).map(|field| field.name.to_lowercase());
    let hidden: BTreeSet<String> = columns.filter(|name| !visible.shows(name)).collect();
    let is_shown = |text: &str| hidden.iter().all(|name| !text.to_lowercase().contains(name));
    let properties = metadata.properties().iter().filter(|(name, value)| is_shown(name) && is_shown(value));
    let mut properties: Vec<(&String, &String)> = properties.collect();
    properties.sort();
    let (names, values) = properties.into_iter().map(|(name, value)| (Some(name.clone()), Some(value.clone()))).unzip();
    answer([("prpt_name", names), ("prpt_value", values)])
}

pub(crate) fn answer<const N: usize>(columns: [(&str, Vec<Option<String>>); N]) -> Answer {
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as ArrayRef).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("all columns are nullable text of one length");
    Answer { schema, batches: vec![batch], bytes_read: 0, tables: Vec::new(), wrote: None }
}
