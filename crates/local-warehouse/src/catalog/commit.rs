//! A commit: requirements checked, updates applied, paths checked, metadata written, pointer swapped.

use std::sync::Arc;

use iceberg::spec::{FormatVersion, Manifest, ManifestList, Snapshot, TableMetadata};
use iceberg::{TableRequirement, TableUpdate};

use crate::catalog::error::{CatalogError, Result};
use crate::catalog::names::{TableBucketArn, TableName};
use crate::catalog::{Catalog, LoadedMetadata, Table, locations, schema_change, tables};

/// A manifest list or manifest larger than this is not read: Iceberg's own target is 8 MB.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// What a client wants to change.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    pub requirements: Vec<TableRequirement>,
    pub updates: Vec<TableUpdate>,
    pub committed_by: String,
}

impl Catalog {
    /// The table's current metadata. A table that has none yet cannot be loaded.
    pub(crate) fn load_table(&self, bucket: &TableBucketArn, name: &TableName) -> Result<(Table, Arc<LoadedMetadata>)> {
        let table = self.table(bucket, name)?;
        let loaded = self.current_metadata(&table)?;
        Ok((table, loaded))
    }

    fn current_metadata(&self, table: &Table) -> Result<Arc<LoadedMetadata>> {
        let Some(location) = &table.metadata_location else {
            return Err(CatalogError::NotFound(
                crate::catalog::Entity::Table,
                format!("{} has no metadata yet", table.name),
            ));
        };
        // What the catalog names has been readable once: not to find it now is our failure, not the caller's.
        self.metadata.load(location).map_err(CatalogError::failed)
    }

    /// Applies a commit, or nothing of it. `Conflict` where a requirement does not hold or another commit was faster.
    pub(crate) fn commit(
        &self,
        bucket: &TableBucketArn,
        name: &TableName,
        request: CommitRequest,
    ) -> Result<Arc<LoadedMetadata>> {
        let (table, base) = self.load_table(bucket, name)?;
        for requirement in &request.requirements {
            requirement
                .check(Some(&base.metadata))
                .map_err(|error| CatalogError::Conflict(error.message().to_owned()))?;
        }
        schema_change::check(&base.metadata, &request.updates)?;
        self.check_paths(&table, &base.metadata, &request.updates)?;
        let Some(next) = apply(&base, request.updates)? else { return Ok(base) };
        let version = locations::metadata_version(&base.location) + 1;
        let location = locations::metadata_file(&table.location(), version, self.ambient.uuid());
        let written = self.metadata.write(&location, next.metadata)?;
        if let Err(error) = self.swap_metadata_location(&table, &location, &request.committed_by) {
            // Nobody has seen this file: only a swap that succeeded names it.
            self.metadata.delete(&location)?;
            return Err(error);
        }
        self.metadata.forget(&base.location);
        self.drop_expired_files(&table, &next.expired_files);
        Ok(written)
    }

    /// Points the table at a metadata file that the client wrote itself.
    pub(crate) fn update_metadata_location(
        &self,
        bucket: &TableBucketArn,
        name: &TableName,
        version_token: &str,
        location: &str,
        updated_by: &str,
    ) -> Result<Table> {
        let table = self.table(bucket, name)?;
        tables::check_version(&table, Some(version_token))?;
        if !location.ends_with(".metadata.json") && !location.ends_with(".metadata.json.gz") {
            return Err(CatalogError::invalid(format!(
                "The metadata location {location} must end with .metadata.json or .metadata.json.gz"
            )));
        }
        locations::check_inside(&table.location(), "metadata location", location)?;
        let new = self.metadata.load(location)?;
        self.check_whole_metadata(&table, &new.metadata)?;
        self.swap_metadata_location(&table, location, updated_by)
    }

    fn check_whole_metadata(&self, table: &Table, metadata: &TableMetadata) -> Result<()> {
        let location = table.location();
        if metadata.location().trim_end_matches('/') != location {
            return Err(CatalogError::invalid(format!(
                "the metadata is of a table at {}, not at {location}",
                metadata.location()
            )));
        }
        if table.metadata_location.is_some() && self.current_metadata(table)?.metadata.uuid() != metadata.uuid() {
            return Err(CatalogError::invalid("the metadata is of another table: its table-uuid differs"));
        }
        locations::check_properties(&location, metadata.properties())?;
        for snapshot in metadata.snapshots() {
            locations::check_inside(&location, "manifest list", snapshot.manifest_list())?;
        }
        if let Some(snapshot) = metadata.current_snapshot() {
            self.check_snapshot(&location, metadata.format_version(), snapshot)?;
        }
        Ok(())
    }

    fn check_paths(&self, table: &Table, base: &TableMetadata, updates: &[TableUpdate]) -> Result<()> {
        let location = table.location();
        let mut version = base.format_version();
        for update in updates {
            locations::check_update(&location, update)?;
            match update {
                TableUpdate::UpgradeFormatVersion { format_version } => version = *format_version,
                TableUpdate::AddSnapshot { snapshot } => self.check_snapshot(&location, version, snapshot)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks every path that a snapshot adds, down to the data files.
    fn check_snapshot(&self, location: &str, version: FormatVersion, snapshot: &Snapshot) -> Result<()> {
        let list = self.read_checked(location, "manifest list", snapshot.manifest_list())?;
        let list =
            ManifestList::parse_with_version(&list, version).map_err(|error| unreadable("manifest list", error))?;
        for file in list.entries() {
            locations::check_inside(location, "manifest", &file.manifest_path)?;
            if self.metadata.is_checked(&file.manifest_path) {
                continue;
            }
            let manifest = self.read_checked(location, "manifest", &file.manifest_path)?;
            let manifest = Manifest::parse_avro(&manifest).map_err(|error| unreadable("manifest", error))?;
            for entry in manifest.entries() {
                locations::check_inside(location, "data file", entry.file_path())?;
            }
            self.metadata.remember_checked(&file.manifest_path);
        }
        Ok(())
    }

    fn read_checked(&self, location: &str, what: &str, path: &str) -> Result<Vec<u8>> {
        locations::check_inside(location, what, path)?;
        let (bucket, key) = locations::split(path)?;
        let object = self
            .files
            .open_object(bucket, key)
            .map_err(|error| CatalogError::invalid(format!("the {what} {path} cannot be read: {error}")))?;
        if object.attributes.size > MANIFEST_BYTES_MAX {
            return Err(CatalogError::invalid(format!("the {what} {path} has more than {MANIFEST_BYTES_MAX} bytes")));
        }
        object.read_all().map_err(CatalogError::failed)
    }

    /// Old metadata files go where the table asks for it. The commit stands already, so a failure is only reported.
    fn drop_expired_files(&self, table: &Table, expired: &[String]) {
        for location in expired {
            let deleted = locations::check_inside(&table.location(), "metadata file", location)
                .and_then(|()| self.metadata.delete(location));
            if let Err(error) = deleted {
                tracing::warn!(table = %table.name, location, error = %error, "could not delete old metadata");
            }
        }
    }
}

struct Applied {
    metadata: TableMetadata,
    expired_files: Vec<String>,
}

/// The table after the updates; `None` where they change nothing.
fn apply(base: &LoadedMetadata, updates: Vec<TableUpdate>) -> Result<Option<Applied>> {
    let mut builder = TableMetadata::clone(&base.metadata).into_builder(Some(base.location.clone()));
    for update in updates {
        builder = update.apply(builder).map_err(refused)?;
    }
    let result = builder.build().map_err(refused)?;
    if result.changes.is_empty() {
        return Ok(None);
    }
    let is_cleaning = result.metadata.properties().get("write.metadata.delete-after-commit.enabled");
    let expired_files = match is_cleaning.map(String::as_str) {
        Some("true") => result.expired_metadata_logs.into_iter().map(|log| log.metadata_file).collect(),
        _ => Vec::new(),
    };
    Ok(Some(Applied { metadata: result.metadata, expired_files }))
}

fn refused(error: iceberg::Error) -> CatalogError {
    CatalogError::invalid(error.message())
}

fn unreadable(what: &str, error: iceberg::Error) -> CatalogError {
    CatalogError::invalid(format!("the {what} cannot be read: {error}"))
}
