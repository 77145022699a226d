//! Objects in S3: as a destination of their own, and as the place of records that failed.

use serde::{Deserialize, Serialize};

use super::{
    BufferingHints, CloudWatchLoggingOptions, FormatConversion, GlueTable, ParquetCompression, ProcessingConfiguration,
    RetryOptions, check_role,
};
use crate::firehose::error::{self, Result};
use crate::firehose::prefix;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct S3Destination {
    #[serde(rename = "RoleARN")]
    pub role_arn: String,
    #[serde(rename = "BucketARN")]
    pub bucket_arn: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_output_prefix: Option<String>,
    #[serde(default)]
    pub buffering_hints: BufferingHints,
    #[serde(default = "uncompressed")]
    pub compression_format: String,
    #[serde(default = "no_encryption")]
    pub encryption_configuration: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logging_options: Option<CloudWatchLoggingOptions>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processing_configuration: Option<ProcessingConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_backup_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_backup_configuration: Option<Box<S3Destination>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_format_conversion_configuration: Option<FormatConversion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_partitioning_configuration: Option<DynamicPartitioning>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_extension: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_time_zone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DynamicPartitioning {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_options: Option<RetryOptions>,
    #[serde(default)]
    pub enabled: bool,
}

fn uncompressed() -> String {
    "UNCOMPRESSED".to_owned()
}

fn no_encryption() -> serde_json::Value {
    serde_json::json!({ "NoEncryptionConfig": "NoEncryption" })
}

impl S3Destination {
    /// As `S3DestinationConfiguration`, which has no more than a place, a prefix and a buffer.
    pub fn check_plain(&self, member: &str) -> Result<()> {
        let only_extended = [
            ("ProcessingConfiguration", self.processing_configuration.is_some()),
            ("S3BackupMode", self.s3_backup_mode.is_some()),
            ("S3BackupConfiguration", self.s3_backup_configuration.is_some()),
            ("DataFormatConversionConfiguration", self.data_format_conversion_configuration.is_some()),
            ("DynamicPartitioningConfiguration", self.dynamic_partitioning_configuration.is_some()),
            ("FileExtension", self.file_extension.is_some()),
            ("CustomTimeZone", self.custom_time_zone.is_some()),
        ];
        if let Some((name, _)) = only_extended.iter().find(|(_, is_given)| *is_given) {
            return Err(error::invalid(format!("{name} is not a member of {member}")));
        }
        self.check_common(member)
    }

    /// As `ExtendedS3DestinationConfiguration`.
    pub fn check_extended(&self, member: &str) -> Result<()> {
        self.check_common(member)?;
        self.processing()?;
        self.check_conversion()?;
        self.check_backup()?;
        if self.custom_time_zone.as_deref().is_some_and(|zone| zone != "UTC") {
            return Err(error::not_served("CustomTimeZone other than UTC", "UTC"));
        }
        if let Some(extension) = &self.file_extension {
            let is_extension = extension.is_empty()
                || extension.starts_with('.')
                    && extension[1..]
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!-_.*'()".contains(&byte));
            if !is_extension {
                return Err(error::invalid(format!("FileExtension `{extension}` must be like .json")));
            }
        }
        self.check_partitioning()
    }

    fn check_backup(&self) -> Result<()> {
        match (self.s3_backup_mode.as_deref(), &self.s3_backup_configuration) {
            (None | Some("Disabled"), None) => Ok(()),
            (None | Some("Disabled"), Some(_)) => {
                Err(error::invalid("S3BackupConfiguration needs S3BackupMode Enabled"))
            }
            (Some("Enabled"), Some(backup)) => backup.check_plain("S3BackupConfiguration"),
            (Some("Enabled"), None) => Err(error::invalid("S3BackupMode Enabled needs an S3BackupConfiguration")),
            (Some(other), _) => Err(error::invalid(format!("S3BackupMode `{other}` must be Disabled or Enabled"))),
        }
    }

    /// Where all records go as they were put, besides.
    pub fn backup(&self) -> Option<&Self> {
        self.s3_backup_configuration.as_deref().filter(|_| self.s3_backup_mode.as_deref() == Some("Enabled"))
    }

    fn check_conversion(&self) -> Result<()> {
        if self.conversion()?.is_none() {
            return Ok(());
        }
        if self.compression_format != "UNCOMPRESSED" {
            return Err(error::invalid(
                "CompressionFormat must be UNCOMPRESSED where DataFormatConversionConfiguration is enabled: the files \
                 have a compression of their own",
            ));
        }
        if self.buffering_hints.size_in_mbs < 64 {
            return Err(error::invalid(
                "BufferingHints.SizeInMBs must be at least 64 where DataFormatConversionConfiguration is enabled",
            ));
        }
        if self.processing()?.delimiter.is_some() {
            return Err(error::invalid("AppendDelimiterToRecord is for lines: rows of Parquet have no delimiter"));
        }
        Ok(())
    }

    /// What records are written as, where not as they are.
    pub fn conversion(&self) -> Result<Option<(GlueTable, ParquetCompression)>> {
        self.data_format_conversion_configuration.as_ref().map_or(Ok(None), FormatConversion::checked)
    }

    /// <https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html>
    fn check_partitioning(&self) -> Result<()> {
        let keys = prefix::partition_keys(self.prefix.as_deref().unwrap_or_default());
        if let Some(DynamicPartitioning { retry_options: Some(retry), .. }) = &self.dynamic_partitioning_configuration {
            retry.check("DynamicPartitioningConfiguration.RetryOptions")?;
        }
        match (self.is_partitioned(), keys.is_empty()) {
            (false, true) => Ok(()),
            (false, false) => {
                Err(error::invalid("Prefix has partition keys, so DynamicPartitioningConfiguration must be enabled"))
            }
            (true, true) => Err(error::invalid(
                "DynamicPartitioningConfiguration is enabled, so Prefix must have !{partitionKeyFromQuery:NAME} or \
                 !{partitionKeyFromLambda:NAME}",
            )),
            (true, false) => {
                let asks = |wanted: &str| keys.iter().any(|(namespace, _)| *namespace == wanted);
                let processing = self.processing()?;
                if asks("partitionKeyFromQuery") && processing.metadata_extraction.is_none() {
                    return Err(error::invalid("partitionKeyFromQuery needs a MetadataExtraction processor"));
                }
                if asks("partitionKeyFromLambda") && processing.lambda.is_none() {
                    return Err(error::invalid("partitionKeyFromLambda needs a Lambda processor"));
                }
                if self.buffering_hints.size_in_mbs < 64 {
                    return Err(error::invalid(
                        "BufferingHints.SizeInMBs must be at least 64 where dynamic partitioning is enabled",
                    ));
                }
                Ok(())
            }
        }
    }

    pub fn is_partitioned(&self) -> bool {
        self.dynamic_partitioning_configuration.is_some_and(|partitioning| partitioning.enabled)
    }

    pub fn processing(&self) -> Result<super::Processing> {
        super::Processing::of(self.processing_configuration.as_ref())
    }

    fn check_common(&self, member: &str) -> Result<()> {
        check_role(&format!("{member}.RoleARN"), &self.role_arn)?;
        if self.bucket().is_none_or(str::is_empty) {
            let message = format!("{member}.BucketARN `{}` must be arn:aws:s3:::BUCKET", self.bucket_arn);
            return Err(error::invalid(message));
        }
        self.buffering_hints.check(&format!("{member}.BufferingHints"))?;
        match self.compression_format.as_str() {
            "UNCOMPRESSED" | "GZIP" => {}
            known @ ("ZIP" | "Snappy" | "HADOOP_SNAPPY") => {
                return Err(error::not_served(&format!("CompressionFormat {known}"), "GZIP or UNCOMPRESSED"));
            }
            other => return Err(error::invalid(format!("CompressionFormat `{other}` is not a format"))),
        }
        if self.encryption_configuration != no_encryption() {
            return Err(error::not_served("EncryptionConfiguration with a key", "NoEncryptionConfig NoEncryption"));
        }
        if let Some(text) = &self.prefix {
            prefix::check("Prefix", text, prefix::Use::Data)?;
            // Without one, records that fail would lie among the others.
            if text.contains("!{") && self.error_output_prefix.is_none() {
                return Err(error::invalid("Prefix has expressions, so there must be an ErrorOutputPrefix too"));
            }
        }
        match &self.error_output_prefix {
            Some(prefix) => check_error_prefix("ErrorOutputPrefix", prefix),
            None => Ok(()),
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> Option<&str> {
        let parts: Vec<&str> = self.bucket_arn.splitn(6, ':').collect();
        match parts[..] {
            ["arn", _, "s3", "", "", bucket] => Some(bucket),
            _ => None,
        }
    }
}

pub(crate) fn check_error_prefix(member: &str, text: &str) -> Result<()> {
    prefix::check(member, text, prefix::Use::Errors)
}
