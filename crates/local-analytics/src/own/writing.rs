//! What a statement says of a table or a view, as Glue keeps it.

use query::{ColumnDefinition, ExternalDefinition, View};
use serde_json::{Map, Value, json};

use crate::own::reading::view_text;

pub(super) fn table_input(name: &str, definition: &ExternalDefinition) -> Map<String, Value> {
    let mut parameters = definition.properties.clone();
    parameters.insert("EXTERNAL".to_owned(), "TRUE".to_owned());
    if let Some(comment) = &definition.comment {
        parameters.insert("comment".to_owned(), comment.clone());
    }
    members(json!({
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Owner": "hadoop",
        "Retention": 0,
        "Parameters": parameters,
        "PartitionKeys": columns(&definition.partition_columns),
        "StorageDescriptor": {
            "Columns": columns(&definition.columns),
            "Location": definition.location,
            "InputFormat": definition.input_format,
            "OutputFormat": definition.output_format,
            "Compressed": false,
            "NumberOfBuckets": -1,
            "SerdeInfo": { "SerializationLibrary": definition.serde, "Parameters": definition.serde_properties },
            "BucketColumns": [],
            "SortColumns": [],
            "Parameters": {},
            "StoredAsSubDirectories": false,
        },
    }))
}

pub(super) fn view_input(view: &View, owner: &str) -> Map<String, Value> {
    let column = |(name, of): &(String, String)| json!({ "Name": name, "Type": of });
    members(json!({
        "Name": view.name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": { "presto_view": "true", "comment": "Presto View" },
        "PartitionKeys": [],
        "ViewOriginalText": view_text(view, owner),
        "ViewExpandedText": "/* Presto View */",
        "StorageDescriptor": {
            "Columns": view.columns.iter().map(column).collect::<Vec<_>>(),
            "Location": "",
            "Compressed": false,
            "NumberOfBuckets": 0,
            "SerdeInfo": {},
            "StoredAsSubDirectories": false,
        },
    }))
}

fn columns(columns: &[ColumnDefinition]) -> Vec<Value> {
    let column = |column: &ColumnDefinition| {
        let mut shown = json!({ "Name": column.name, "Type": column.type_name });
        if let Some(comment) = &column.comment {
            shown["Comment"] = comment.as_str().into();
        }
        shown
    };
    columns.iter().map(column).collect()
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
