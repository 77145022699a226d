//! The answers to SHOW and DESCRIBE.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::kernels::comparison::ilike;
use arrow::datatypes::{DataType, Field, Schema};
use lake::LakeTable;

use crate::answer::{Answer, TableRead};
use crate::error::Result;
use crate::tables::{self, Tables};
use crate::type_name::type_name;

pub(crate) async fn namespaces(tables: &dyn Tables) -> Result<Answer> {
    let namespaces = tables.list_namespaces().await.map_err(tables::unreadable)?;
    let mut names: Vec<String> = namespaces.iter().map(|namespace| namespace.to_url_string()).collect();
    names.sort();
    Ok(answer([("namespace", names.into_iter().map(Some).collect())]))
}

/// The tables of `namespace`, or of all; of these, those whose name is LIKE `like`.
pub(crate) async fn list_tables(tables: &dyn Tables, namespace: Option<&str>, like: Option<&str>) -> Result<Answer> {
    let mut rows: Vec<(String, String)> = (tables::list_all(tables).await?.into_iter())
        .map(|ident| (ident.namespace().to_url_string(), ident.name().to_owned()))
        .filter(|(of, _)| namespace.is_none_or(|namespace| namespace.eq_ignore_ascii_case(of)))
        .filter(|(_, name)| like.is_none_or(|like| is_like(name, like)))
        .collect();
    rows.sort();
    let (namespaces, names) = rows.into_iter().map(|(namespace, name)| (Some(namespace), Some(name))).unzip();
    Ok(answer([("namespace", namespaces), ("table", names)]))
}

fn is_like(name: &str, pattern: &str) -> bool {
    let text = |text: &str| StringArray::from(vec![text]);
    ilike(&text(name), &text(pattern)).is_ok_and(|like| like.value(0))
}

/// Describes the columns of `table` that are in `schema`.
pub(crate) fn describe(table: &LakeTable, schema: &Schema) -> Answer {
    let documented = table.columns().as_struct();
    let names = schema.fields().iter().map(|field| Some(field.name().clone())).collect();
    let types = schema.fields().iter().map(|field| Some(type_name(field.data_type()))).collect();
    let comment = |field: &Arc<Field>| documented.field_by_name(field.name()).and_then(|field| field.doc.clone());
    let comments = schema.fields().iter().map(comment).collect();
    let described = answer([("column", names), ("type", types), ("comment", comments)]);
    Answer { tables: vec![TableRead::of(table)], ..described }
}

fn answer<const N: usize>(columns: [(&str, Vec<Option<String>>); N]) -> Answer {
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as ArrayRef).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("all columns are nullable text of one length");
    Answer { schema, batches: vec![batch], bytes_read: 0, tables: Vec::new() }
}
