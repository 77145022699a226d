//! The Apache Iceberg destination.

use serde::{Deserialize, Serialize};

use super::{
    BufferingHints, CloudWatchLoggingOptions, ProcessingConfiguration, RetryOptions, S3Destination, Switch, check_role,
    is_account,
};
use crate::firehose::error::{self, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct IcebergDestination {
    #[serde(rename = "RoleARN")]
    pub role_arn: String,
    pub catalog_configuration: CatalogConfiguration,
    /// Where records go that cannot be delivered.
    pub s3_configuration: S3Destination,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destination_table_configuration_list: Vec<TableConfiguration>,
    #[serde(default)]
    pub buffering_hints: BufferingHints,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logging_options: Option<CloudWatchLoggingOptions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_configuration: Option<ProcessingConfiguration>,
    #[serde(default = "failed_data_only")]
    pub s3_backup_mode: String,
    #[serde(default)]
    pub retry_options: RetryOptions,
    #[serde(default)]
    pub append_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_evolution_configuration: Option<Switch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_creation_configuration: Option<Switch>,
}

fn failed_data_only() -> String {
    "FailedDataOnly".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CatalogConfiguration {
    #[serde(rename = "CatalogARN", default, skip_serializing_if = "Option::is_none")]
    pub catalog_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_location: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TableConfiguration {
    pub destination_database_name: String,
    pub destination_table_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_error_output_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_spec: Option<serde_json::Value>,
}

/// Which Glue Data Catalog holds the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogArn {
    /// The account's own: databases are resource links to those of table buckets.
    Account,
    /// `catalog/s3tablescatalog/BUCKET`: databases are the bucket's namespaces.
    TableBucket { region: String, account: String, name: String },
}

impl IcebergDestination {
    pub fn check(&self) -> Result<()> {
        check_role("IcebergDestinationConfiguration.RoleARN", &self.role_arn)?;
        self.catalog()?;
        self.buffering_hints.check("BufferingHints")?;
        self.retry_options.check("RetryOptions")?;
        self.s3_configuration.check_plain("S3Configuration")?;
        self.processing()?;
        match self.s3_backup_mode.as_str() {
            "FailedDataOnly" | "AllData" => {}
            other => return Err(error::invalid(format!("S3BackupMode `{other}` must be FailedDataOnly or AllData"))),
        }
        let is_on = |switch: &Option<Switch>| switch.is_some_and(|switch| switch.enabled);
        if is_on(&self.schema_evolution_configuration) {
            return Err(error::not_served("SchemaEvolutionConfiguration", "change the table's columns yourself"));
        }
        if is_on(&self.table_creation_configuration) {
            return Err(error::not_served("TableCreationConfiguration", "aws s3tables create-table"));
        }
        self.destination_table_configuration_list.iter().try_for_each(TableConfiguration::check)?;
        for (number, table) in self.destination_table_configuration_list.iter().enumerate() {
            let earlier = &self.destination_table_configuration_list[..number];
            if earlier.iter().any(|earlier| earlier.lane() == table.lane()) {
                return Err(error::invalid(format!("DestinationTableConfigurationList names {} twice", table.lane())));
            }
            if self.append_only && !table.unique_keys.is_empty() {
                return Err(error::invalid(
                    "UniqueKeys must not be given with AppendOnly: nothing is updated or deleted",
                ));
            }
        }
        Ok(())
    }

    pub fn catalog(&self) -> Result<CatalogArn> {
        let configuration = &self.catalog_configuration;
        if configuration.warehouse_location.is_some() {
            return Err(error::not_served(
                "CatalogConfiguration.WarehouseLocation",
                "CatalogARN of a table bucket, whose tables have their own location",
            ));
        }
        let arn = configuration.catalog_arn.as_deref().unwrap_or_default();
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let catalog = match parts[..] {
            ["arn", _, "glue", region, account, catalog] if !region.is_empty() && is_account(account) => {
                (region, account, catalog)
            }
            _ => ("", "", ""),
        };
        let (region, account, catalog) = catalog;
        match catalog.split('/').collect::<Vec<_>>()[..] {
            ["catalog"] => Ok(CatalogArn::Account),
            ["catalog", "s3tablescatalog", name] if !name.is_empty() => Ok(CatalogArn::TableBucket {
                region: region.to_owned(),
                account: account.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(error::invalid(format!(
                "CatalogConfiguration.CatalogARN `{arn}` must be arn:aws:glue:REGION:ACCOUNT:catalog or \
                 arn:aws:glue:REGION:ACCOUNT:catalog/s3tablescatalog/TABLE-BUCKET"
            ))),
        }
    }

    pub fn processing(&self) -> Result<super::Processing> {
        let processing = super::Processing::of(self.processing_configuration.as_ref())?;
        if processing.delimiter.is_some() {
            return Err(error::invalid("AppendDelimiterToRecord is for objects: rows have no delimiter"));
        }
        Ok(processing)
    }

    /// Where all records go as they were put, besides.
    pub fn backup(&self) -> Option<&S3Destination> {
        (self.s3_backup_mode == "AllData").then_some(&self.s3_configuration)
    }

    pub fn table(&self, lane: &str) -> Option<&TableConfiguration> {
        self.destination_table_configuration_list.iter().find(|table| table.lane() == lane)
    }
}

impl TableConfiguration {
    /// `database.table`.
    pub fn lane(&self) -> String {
        format!("{}.{}", self.destination_database_name, self.destination_table_name)
    }

    fn check(&self) -> Result<()> {
        for (member, name) in [
            ("DestinationDatabaseName", &self.destination_database_name),
            ("DestinationTableName", &self.destination_table_name),
        ] {
            check_name(member, name)?;
        }
        if self.unique_keys.iter().any(|key| key.is_empty() || key.chars().any(char::is_whitespace)) {
            return Err(error::invalid("UniqueKeys must be names of columns, without white space"));
        }
        if self.partition_spec.is_some() {
            return Err(error::not_served("PartitionSpec", "aws s3tables create-table with a partitionSpec"));
        }
        match &self.s3_error_output_prefix {
            Some(prefix) => super::s3::check_error_prefix("S3ErrorOutputPrefix", prefix),
            None => Ok(()),
        }
    }
}

/// Names of databases and tables.
pub(crate) fn check_name(member: &str, name: &str) -> Result<()> {
    let is_name = (1..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    match is_name {
        true => Ok(()),
        false => Err(error::invalid(format!("{member} `{name}` must be letters, digits, underscores and dots"))),
    }
}
