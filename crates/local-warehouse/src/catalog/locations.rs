//! Locations: every path that a table names must lie inside the table's own warehouse.

use std::collections::HashMap;

use iceberg::TableUpdate;
use uuid::Uuid;

use crate::catalog::error::{CatalogError, Result};

/// Properties that send a writer elsewhere.
const PATH_PROPERTIES: [&str; 4] =
    ["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];

/// Takes `s3://bucket/key` apart.
pub(crate) fn split(location: &str) -> Result<(&str, &str)> {
    let parts = location.strip_prefix("s3://").and_then(|path| path.split_once('/'));
    parts.ok_or_else(|| CatalogError::invalid(format!("{location} is not an s3://BUCKET/KEY location")))
}

/// The name of a table's next metadata file.
pub(crate) fn metadata_file(table_location: &str, version: u64, unique: Uuid) -> String {
    format!("{table_location}/metadata/{version:05}-{unique}.metadata.json")
}

/// The number in front of a metadata file's name; 0 where somebody named it otherwise.
pub(crate) fn metadata_version(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or_default();
    name.split('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Fails unless `path` names something beneath `table_location`.
///
/// Readers may resolve dot segments even though S3 does not, so those are refused as well.
pub(crate) fn check_inside(table_location: &str, what: &str, path: &str) -> Result<()> {
    let inner = path.strip_prefix(table_location).and_then(|rest| rest.strip_prefix('/'));
    let is_inside = inner.is_some_and(|inner| {
        let lower = inner.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
        let is_plain = lower.split(['/', '\\']).all(|segment| segment != "." && segment != "..");
        !inner.is_empty() && is_plain && !inner.contains(char::is_control)
    });
    if is_inside {
        return Ok(());
    }
    Err(CatalogError::Invalid(format!("the {what} {path} lies outside of the table's location {table_location}/")))
}

/// Checks the paths that an update names itself; those in manifests are checked with the snapshot.
pub(crate) fn check_update(table_location: &str, update: &TableUpdate) -> Result<()> {
    match update {
        TableUpdate::AddSnapshot { snapshot } => {
            check_inside(table_location, "manifest list", snapshot.manifest_list())
        }
        TableUpdate::SetLocation { location } if location.trim_end_matches('/') != table_location => {
            Err(CatalogError::Invalid(format!(
                "S3 Tables does not let a table move: its location stays {table_location}, not {location}"
            )))
        }
        TableUpdate::SetStatistics { statistics } => {
            check_inside(table_location, "statistics file", &statistics.statistics_path)
        }
        TableUpdate::SetPartitionStatistics { partition_statistics } => {
            check_inside(table_location, "partition statistics file", &partition_statistics.statistics_path)
        }
        TableUpdate::SetProperties { updates } => check_properties(table_location, updates),
        _ => Ok(()),
    }
}

/// Checks properties that hold paths.
pub(crate) fn check_properties(table_location: &str, properties: &HashMap<String, String>) -> Result<()> {
    for name in PATH_PROPERTIES {
        if let Some(path) = properties.get(name) {
            check_inside(table_location, &format!("property {name}"), path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_beneath_the_table_are_inside() {
        let table = "s3://a--table-s3";
        for path in ["s3://a--table-s3/x", "s3://a--table-s3/data/b=..c/x.parquet", "s3://a--table-s3/a//b"] {
            assert!(check_inside(table, "file", path).is_ok(), "{path}");
        }
        for path in [
            "",
            "s3://a--table-s3",
            "s3://a--table-s3/",
            "s3://a--table-s3x/y",
            "s3://b--table-s3/x",
            "/etc/passwd",
            "file:///etc/passwd",
            "s3a://a--table-s3/x",
            "s3://a--table-s3/../b/x",
            "s3://a--table-s3/%2e%2E/b",
            "s3://a--table-s3/a/./b",
            "s3://a--table-s3/a\\..\\b",
            "s3://a--table-s3/..%2fb",
            "s3://a--table-s3/a\0",
            "S3://a--table-s3/x",
            " s3://a--table-s3/x",
            "s3://a--table-s3@b/x",
        ] {
            assert!(check_inside(table, "file", path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_metadata_file_says_its_version() {
        let location = metadata_file("s3://a", 7, Uuid::nil());
        assert_eq!(location, "s3://a/metadata/00007-00000000-0000-0000-0000-000000000000.metadata.json");
        assert_eq!(metadata_version(&location), 7);
        assert_eq!(metadata_version("s3://a/metadata/v1.metadata.json"), 0);
    }
}
