//! Records as rows of Parquet files, with the columns of a table of Glue.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html>

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check_role;
use crate::firehose::error::{self, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct FormatConversion {
    /// As on AWS, where it is on unless it is said to be off.
    #[serde(default = "is_on")]
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_configuration: Option<SchemaConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_format_configuration: Option<InputFormat>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format_configuration: Option<OutputFormat>,
}

fn is_on() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct SchemaConfiguration {
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    catalog_id: Option<String>,
    database_name: Option<String>,
    table_name: Option<String>,
    region: Option<String>,
    version_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct InputFormat {
    deserializer: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct OutputFormat {
    serializer: Option<Value>,
}

/// Where the columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlueTable {
    pub database: String,
    pub table: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParquetCompression {
    Snappy,
    None,
}

impl FormatConversion {
    /// The table and the compression; `None` where it is off.
    pub fn checked(&self) -> Result<Option<(GlueTable, ParquetCompression)>> {
        if !self.enabled {
            return Ok(None);
        }
        let member = "DataFormatConversionConfiguration";
        let missing = |name: &str| error::invalid(format!("{member}.{name} must be given"));
        let schema = self.schema_configuration.as_ref().ok_or_else(|| missing("SchemaConfiguration"))?;
        let role = schema.role_arn.as_deref().ok_or_else(|| missing("SchemaConfiguration.RoleARN"))?;
        check_role(&format!("{member}.SchemaConfiguration.RoleARN"), role)?;
        let database = schema.database_name.clone().ok_or_else(|| missing("SchemaConfiguration.DatabaseName"))?;
        let table = schema.table_name.clone().ok_or_else(|| missing("SchemaConfiguration.TableName"))?;
        if schema.catalog_id.as_deref().is_some_and(|id| !super::is_account(id)) {
            return Err(error::not_served("SchemaConfiguration.CatalogId other than an account", "an account's id"));
        }
        if schema.version_id.as_deref().is_some_and(|version| version != "LATEST") {
            return Err(error::not_served("SchemaConfiguration.VersionId other than LATEST", "LATEST"));
        }
        let input = self.input_format_configuration.as_ref().and_then(|input| input.deserializer.as_ref());
        let input = input.ok_or_else(|| missing("InputFormatConfiguration.Deserializer"))?;
        if *input != serde_json::json!({ "OpenXJsonSerDe": {} }) {
            return Err(error::not_served(
                "InputFormatConfiguration other than OpenXJsonSerDe as it is",
                "OpenXJsonSerDe={}",
            ));
        }
        let output = self.output_format_configuration.as_ref().and_then(|output| output.serializer.as_ref());
        let output = output.ok_or_else(|| missing("OutputFormatConfiguration.Serializer"))?;
        Ok(Some((GlueTable { database, table }, compression(output)?)))
    }
}

fn compression(serializer: &Value) -> Result<ParquetCompression> {
    let members = serializer.as_object().map(|members| members.iter().collect::<Vec<_>>()).unwrap_or_default();
    let [(name, parquet)] = members[..] else {
        return Err(error::invalid("OutputFormatConfiguration.Serializer must have exactly one member"));
    };
    if name != "ParquetSerDe" {
        return Err(error::not_served(&format!("OutputFormatConfiguration.Serializer.{name}"), "ParquetSerDe"));
    }
    let mut compression = ParquetCompression::Snappy;
    for (name, value) in parquet.as_object().into_iter().flatten() {
        compression = match (name.as_str(), value.as_str()) {
            ("Compression", Some("SNAPPY")) => ParquetCompression::Snappy,
            ("Compression", Some("UNCOMPRESSED")) => ParquetCompression::None,
            ("Compression", _) => {
                return Err(error::not_served("ParquetSerDe.Compression GZIP", "SNAPPY or UNCOMPRESSED"));
            }
            _ => return Err(error::not_served(&format!("ParquetSerDe.{name}"), "ParquetSerDe without it")),
        };
    }
    Ok(compression)
}
