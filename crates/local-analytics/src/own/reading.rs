//! What Glue says of a table, as the query engine takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use query::{Delimited, ExternalTable, FileFormat, ObjectAccess, Other, Partition, View, hive_column};
use serde_json::{Map, Value};

use crate::lakehouse::Column;
use crate::own::access::location_of;
use crate::own::documents::{GluePartition, GlueTable};

/// What stands before the definition of a view, and behind it: as Presto writes it.
const VIEW_PREFIX: &str = "/* Presto View: ";
const VIEW_SUFFIX: &str = " */";
/// What stands for NULL in the values of a partition.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

pub(crate) fn is_view(input: &Map<String, Value>) -> bool {
    input.get("TableType").and_then(Value::as_str) == Some("VIRTUAL_VIEW")
}

/// The columns of a table as catalogs describe them, those of partitions last.
pub(crate) fn columns(input: &Map<String, Value>) -> Vec<Column> {
    let own = input.get("StorageDescriptor").and_then(|storage| storage["Columns"].as_array());
    let own = own.into_iter().flatten().map(|column| described(column, false));
    own.chain(partition_columns(input)).collect()
}

pub(crate) fn partition_columns(input: &Map<String, Value>) -> Vec<Column> {
    let keys = input.get("PartitionKeys").and_then(Value::as_array);
    keys.into_iter().flatten().map(|column| described(column, true)).collect()
}

fn described(column: &Value, is_partition_key: bool) -> Column {
    Column {
        name: column["Name"].as_str().unwrap_or_default().to_lowercase(),
        type_name: column["Type"].as_str().unwrap_or("string").to_owned(),
        comment: column["Comment"].as_str().map(str::to_owned),
        is_partition_key,
    }
}

/// A table or a view for the engine; an error says what of it we do not read.
pub(super) fn read(
    database: &str,
    name: &str,
    table: &GlueTable,
    partitions: Vec<GluePartition>,
    access: Arc<dyn ObjectAccess>,
) -> Result<Other, String> {
    if is_view(&table.input) {
        return view(database, name, &table.input).map(Other::View);
    }
    let properties: BTreeMap<String, String> = texts(table.input.get("Parameters"));
    if properties.get("projection.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("partition projection is not served. Try: MSCK REPAIR TABLE, and projection.enabled = false".into());
    }
    let field = |column: &Column| {
        let field = hive_column(&column.name, &column.type_name, column.comment.as_deref());
        field.ok_or_else(|| format!("column {} has type {}, which is not known", column.name, column.type_name))
    };
    let (keys, own): (Vec<Column>, Vec<Column>) =
        columns(&table.input).into_iter().partition(|column| column.is_partition_key);
    let location = location_of(&table.input).ok_or("it has no location")?;
    let partition = |partition: GluePartition| Partition {
        values: partition
            .values()
            .into_iter()
            .map(|value| Some(value).filter(|value| value != NULL_PARTITION))
            .collect(),
        location: location_of(&partition.input).unwrap_or_default(),
    };
    Ok(Other::External(ExternalTable {
        database: database.to_owned(),
        name: name.to_owned(),
        columns: own.iter().map(field).collect::<Result<_, _>>()?,
        partition_columns: keys.iter().map(field).collect::<Result<_, _>>()?,
        format: format(&table.input, &properties)?,
        location,
        partitions: partitions.into_iter().map(partition).collect(),
        properties,
        access,
    }))
}

fn format(input: &Map<String, Value>, properties: &BTreeMap<String, String>) -> Result<FileFormat, String> {
    let storage = input.get("StorageDescriptor");
    let serde = storage.map(|storage| &storage["SerdeInfo"]);
    let library = serde.and_then(|serde| serde["SerializationLibrary"].as_str()).unwrap_or_default();
    let given: BTreeMap<String, String> = texts(serde.map(|serde| &serde["Parameters"]));
    let character = |name: &str| given.get(name).and_then(|text| text.chars().next());
    let header_lines = properties.get("skip.header.line.count").or(given.get("skip.header.line.count"));
    let header_lines = header_lines.and_then(|text| text.parse().ok()).unwrap_or(0);
    match library.rsplit('.').next().unwrap_or_default() {
        "ParquetHiveSerDe" => Ok(FileFormat::Parquet),
        "JsonSerDe" => Ok(FileFormat::JsonLines {
            ignores_malformed: given
                .get("ignore.malformed.json")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        }),
        "LazySimpleSerDe" => Ok(FileFormat::Delimited(Delimited {
            separator: character("field.delim").unwrap_or('\u{1}'),
            quote: None,
            escape: character("escape.delim"),
            null: Some(given.get("serialization.null.format").cloned().unwrap_or_else(|| "\\N".to_owned())),
            header_lines,
        })),
        "OpenCSVSerde" => Ok(FileFormat::Delimited(Delimited {
            separator: character("separatorChar").unwrap_or(','),
            quote: Some(character("quoteChar").unwrap_or('"')),
            escape: Some(character("escapeChar").unwrap_or('\\')),
            null: None,
            header_lines,
        })),
        _ => Err(format!("its format {library:?} is not served. Try: Parquet, delimited text or lines of JSON")),
    }
}

fn view(database: &str, name: &str, input: &Map<String, Value>) -> Result<View, String> {
    let text = input.get("ViewOriginalText").and_then(Value::as_str).unwrap_or_default();
    let encoded = text.strip_prefix(VIEW_PREFIX).and_then(|text| text.strip_suffix(VIEW_SUFFIX));
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded.trim()).ok());
    let definition: Value = decoded
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or("its text is not one of Presto's views. Try: CREATE OR REPLACE VIEW")?;
    let text = |name: &str| definition[name].as_str().map(str::to_owned);
    Ok(View {
        database: database.to_owned(),
        name: name.to_owned(),
        sql: text("originalSql").ok_or("it has no query")?,
        in_catalog: text("catalog"),
        in_database: text("schema"),
        columns: columns(input).into_iter().map(|column| (column.name, column.type_name)).collect(),
    })
}

/// What Presto keeps of a view.
pub(super) fn view_text(view: &View, owner: &str) -> String {
    let column = |(name, of): &(String, String)| serde_json::json!({ "name": name, "type": presto_type(of) });
    let definition = serde_json::json!({
        "originalSql": view.sql,
        "catalog": view.in_catalog,
        "schema": view.in_database,
        "columns": view.columns.iter().map(column).collect::<Vec<_>>(),
        "owner": owner,
        "runAsInvoker": true,
        "properties": {},
    });
    format!("{VIEW_PREFIX}{}{VIEW_SUFFIX}", STANDARD.encode(definition.to_string()))
}

/// Presto's name for the types that Hive calls otherwise.
fn presto_type(hive: &str) -> String {
    match hive {
        "string" => "varchar".to_owned(),
        "int" => "integer".to_owned(),
        "float" => "real".to_owned(),
        "binary" => "varbinary".to_owned(),
        other => other.to_owned(),
    }
}

fn texts(members: Option<&Value>) -> BTreeMap<String, String> {
    let members = members.and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_as_it_was_written() {
        let view = View {
            database: "sales".to_owned(),
            name: "top".to_owned(),
            sql: "SELECT 'ä' AS a".to_owned(),
            in_catalog: Some("AwsDataCatalog".to_owned()),
            in_database: None,
            columns: vec![("a".to_owned(), "string".to_owned())],
        };
        let columns = serde_json::json!([{ "Name": "a", "Type": "string" }]);
        let input = serde_json::json!({
            "TableType": "VIRTUAL_VIEW",
            "ViewOriginalText": view_text(&view, "ana"),
            "StorageDescriptor": { "Columns": columns },
        });
        let input = input.as_object().unwrap();
        assert!(is_view(input));
        assert_eq!(super::view("sales", "top", input), Ok(view));
    }
}
