//! Tables: which there are, and which metadata file is current.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iceberg::spec::TableMetadata;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::catalog::buckets::{from_json, to_json};
use crate::catalog::error::{CatalogError, Entity, Result};
use crate::catalog::names::{TableArn, TableBucketArn, TableName, check_table_name};
use crate::catalog::{Catalog, LoadedMetadata, PageRequest, TableDefinition, buckets, locations, namespaces};
use crate::objects::BucketKind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub arn: TableArn,
    pub name: TableName,
    pub namespace_id: String,
    pub bucket_id: String,
    /// The bucket that holds this table's files, and nothing else.
    pub warehouse: String,
    /// Absent while nobody has given the table a schema.
    pub metadata_location: Option<String>,
    /// Another one after every change.
    pub version_token: String,
    pub created_ms: i64,
    pub created_by: String,
    pub modified_ms: i64,
    pub modified_by: String,
    pub tags: BTreeMap<String, String>,
}

impl Table {
    /// `s3://<warehouse>`, without a slash at the end.
    pub(crate) fn location(&self) -> String {
        format!("s3://{}", self.warehouse)
    }
}

/// A table to create.
#[derive(Debug)]
pub(crate) struct NewTable<'a> {
    pub bucket: &'a TableBucketArn,
    pub name: &'a TableName,
    pub created_by: &'a str,
    pub tags: BTreeMap<String, String>,
}

/// A new name for a table.
#[derive(Debug)]
pub(crate) struct TableRename<'a> {
    pub to: &'a TableName,
    /// The version that is renamed; whatever is current, where it is not given.
    pub version_token: Option<&'a str>,
    pub renamed_by: &'a str,
}

const SELECT: &str = "SELECT t.*, b.account, b.region, b.name AS bucket_name, n.name AS namespace_name
    FROM iceberg_table t JOIN table_bucket b ON b.id = t.bucket_id JOIN namespace n ON n.id = t.namespace_id";

impl Catalog {
    /// Creates a table with a warehouse of its own, and with its first metadata where it is defined.
    pub(crate) fn create_table(
        &self,
        new: &NewTable<'_>,
        definition: Option<TableDefinition>,
    ) -> Result<(Table, Option<Arc<LoadedMetadata>>)> {
        check_table_name(&new.name.name)?;
        self.store.read(|db| check_is_free(db, new.bucket, new.name))?;
        let warehouse = format!("{}--table-s3", self.ambient.uuid());
        let location = format!("s3://{warehouse}");
        let metadata = definition.map(|definition| self.first_metadata(definition, location)).transpose()?;
        // The files come first: a crash before the row exists leaves a bucket that the next start sweeps.
        self.files.create_bucket(&warehouse, BucketKind::TableWarehouse, &new.bucket.region)?;
        let created = self.write_and_insert(new, &warehouse, metadata);
        if created.is_err() {
            self.files.delete_bucket_and_objects(&warehouse)?;
        }
        created
    }

    fn write_and_insert(
        &self,
        new: &NewTable<'_>,
        warehouse: &str,
        metadata: Option<TableMetadata>,
    ) -> Result<(Table, Option<Arc<LoadedMetadata>>)> {
        let loaded = match metadata {
            Some(metadata) => {
                let location = locations::metadata_file(&format!("s3://{warehouse}"), 0, self.ambient.uuid());
                Some(self.metadata.write(&location, metadata)?)
            }
            None => None,
        };
        let id = self.ambient.uuid().to_string();
        let now = self.ambient.now_ms();
        let table = self.store.write(|db| {
            check_is_free(db, new.bucket, new.name)?;
            let bucket = buckets::existing(db, new.bucket)?;
            let namespace = namespaces::existing(db, &bucket, &new.name.namespace)?;
            db.execute(
                "INSERT INTO iceberg_table VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    id,
                    bucket.id,
                    namespace.id,
                    new.name.name,
                    warehouse,
                    loaded.as_ref().map(|loaded| &loaded.location),
                    self.fresh_token(),
                    now,
                    new.created_by,
                    now,
                    new.created_by,
                    to_json(&new.tags)?,
                ],
            )?;
            existing(db, new.bucket, new.name)
        })?;
        Ok((table, loaded))
    }

    pub(crate) fn table(&self, bucket: &TableBucketArn, name: &TableName) -> Result<Table> {
        self.store.read(|db| existing(db, bucket, name))
    }

    pub(crate) fn table_by_arn(&self, arn: &TableArn) -> Result<Table> {
        self.store.read(|db| {
            let bucket = buckets::existing(db, &arn.bucket)?;
            let mut statement = db.prepare_cached(&format!("{SELECT} WHERE t.id = ? AND t.bucket_id = ?"))?;
            let table = statement.query_row(params![arn.id, bucket.id], from_row).optional()?;
            table.ok_or_else(|| CatalogError::NotFound(Entity::Table, arn.to_string()))
        })
    }

    /// Tables of one namespace, or of all, by namespace and name.
    pub(crate) fn tables(
        &self,
        bucket: &TableBucketArn,
        namespace: Option<&str>,
        page: &PageRequest,
    ) -> Result<Vec<Table>> {
        self.store.read(|db| {
            let bucket = buckets::existing(db, bucket)?;
            if let Some(namespace) = namespace {
                namespaces::existing(db, &bucket, namespace)?;
            }
            // Names hold no dot, so it parts the two halves.
            let (after_namespace, after_name) = page.after.split_once('.').unwrap_or_default();
            let mut statement = db.prepare_cached(&format!(
                "{SELECT} WHERE t.bucket_id = ?1 AND (?2 IS NULL OR n.name = ?2) AND (n.name, t.name) > (?3, ?4)
                 AND substr(t.name, 1, length(?5)) = ?5 ORDER BY n.name, t.name LIMIT ?6"
            ))?;
            let values = params![bucket.id, namespace, after_namespace, after_name, page.prefix, page.count_max];
            let tables = statement.query_map(values, from_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(tables)
        })
    }

    pub(crate) fn rename_table(
        &self,
        bucket: &TableBucketArn,
        name: &TableName,
        rename: &TableRename<'_>,
    ) -> Result<()> {
        check_table_name(&rename.to.name)?;
        self.store.write(|db| {
            let table = existing(db, bucket, name)?;
            check_version(&table, rename.version_token)?;
            check_is_free(db, bucket, rename.to)?;
            let namespace = namespaces::existing(db, &buckets::existing(db, bucket)?, &rename.to.namespace)?;
            db.execute(
                "UPDATE iceberg_table SET namespace_id = ?, name = ?, version_token = ?, modified_ms = ?, modified_by = ?
                 WHERE id = ?",
                params![
                    namespace.id,
                    rename.to.name,
                    self.fresh_token(),
                    self.ambient.now_ms(),
                    rename.renamed_by,
                    table.arn.id
                ],
            )?;
            Ok(())
        })
    }

    /// Deletes the table and its files.
    pub(crate) fn delete_table(
        &self,
        bucket: &TableBucketArn,
        name: &TableName,
        version_token: Option<&str>,
    ) -> Result<()> {
        let table = self.store.write(|db| {
            let table = existing(db, bucket, name)?;
            check_version(&table, version_token)?;
            db.execute("DELETE FROM iceberg_table WHERE id = ?", [&table.arn.id])?;
            Ok(table)
        })?;
        if let Some(location) = &table.metadata_location {
            self.metadata.forget(location);
        }
        Ok(self.files.delete_bucket_and_objects(&table.warehouse)?)
    }

    pub(crate) fn set_table_tags(&self, arn: &TableArn, tags: &BTreeMap<String, String>) -> Result<()> {
        let table = self.table_by_arn(arn)?;
        self.store.write(|db| {
            db.execute("UPDATE iceberg_table SET tags = ? WHERE id = ?", params![to_json(tags)?, table.arn.id])?;
            Ok(())
        })
    }

    /// Makes `location` the current metadata of `table`, unless somebody changed the table since it was read.
    pub(super) fn swap_metadata_location(&self, table: &Table, location: &str, modified_by: &str) -> Result<Table> {
        let token = self.fresh_token();
        let now = self.ambient.now_ms();
        self.store.write(|db| {
            let changed = db.execute(
                "UPDATE iceberg_table SET metadata_location = ?, version_token = ?, modified_ms = ?, modified_by = ?
                 WHERE id = ? AND version_token = ?",
                params![location, token, now, modified_by, table.arn.id, table.version_token],
            )?;
            if changed == 1 {
                return Ok(());
            }
            Err(CatalogError::Conflict(format!("the table {} was changed or deleted meanwhile", table.name)))
        })?;
        Ok(Table {
            metadata_location: Some(location.to_owned()),
            version_token: token,
            modified_ms: now,
            modified_by: modified_by.to_owned(),
            ..table.clone()
        })
    }

    /// The table whose files a bucket holds.
    pub(crate) fn table_of_warehouse(&self, bucket: &str) -> Result<Option<Table>> {
        self.store.read(|db| {
            let mut statement = db.prepare_cached(&format!("{SELECT} WHERE t.warehouse = ?"))?;
            Ok(statement.query_row([bucket], from_row).optional()?)
        })
    }

    pub(super) fn warehouses(&self) -> Result<BTreeSet<String>> {
        self.store.read(|db| {
            let mut statement = db.prepare("SELECT warehouse FROM iceberg_table")?;
            let names = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(names)
        })
    }
}

pub(super) fn check_version(table: &Table, version_token: Option<&str>) -> Result<()> {
    match version_token {
        Some(token) if token != table.version_token => Err(CatalogError::Conflict(format!(
            "The version token is stale: the table {} was changed since it was read",
            table.name
        ))),
        _ => Ok(()),
    }
}

pub(super) fn existing(db: &Connection, bucket: &TableBucketArn, name: &TableName) -> Result<Table> {
    find(db, bucket, name)?.ok_or_else(|| CatalogError::NotFound(Entity::Table, name.to_string()))
}

/// The tables of all buckets that have a schema.
pub(super) fn with_metadata(db: &Connection) -> Result<Vec<Table>> {
    let mut statement =
        db.prepare_cached(&format!("{SELECT} WHERE t.metadata_location IS NOT NULL ORDER BY b.name, n.name, t.name"))?;
    let tables = statement.query_map([], from_row)?.collect::<rusqlite::Result<_>>()?;
    Ok(tables)
}

/// Fails unless the namespace exists and has no table of that name.
fn check_is_free(db: &Connection, bucket: &TableBucketArn, name: &TableName) -> Result<()> {
    match find(db, bucket, name)? {
        Some(_) => Err(CatalogError::AlreadyExists(Entity::Table, name.to_string())),
        None => Ok(()),
    }
}

fn find(db: &Connection, bucket: &TableBucketArn, name: &TableName) -> Result<Option<Table>> {
    let bucket = buckets::existing(db, bucket)?;
    let namespace = namespaces::existing(db, &bucket, &name.namespace)?;
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE t.namespace_id = ? AND t.name = ?"))?;
    Ok(statement.query_row(params![namespace.id, name.name], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Table> {
    let bucket =
        TableBucketArn { region: row.get("region")?, account: row.get("account")?, name: row.get("bucket_name")? };
    Ok(Table {
        arn: TableArn { bucket, id: row.get("id")? },
        name: TableName { namespace: row.get("namespace_name")?, name: row.get("name")? },
        namespace_id: row.get("namespace_id")?,
        bucket_id: row.get("bucket_id")?,
        warehouse: row.get("warehouse")?,
        metadata_location: row.get("metadata_location")?,
        version_token: row.get("version_token")?,
        created_ms: row.get("created_ms")?,
        created_by: row.get("created_by")?,
        modified_ms: row.get("modified_ms")?,
        modified_by: row.get("modified_by")?,
        tags: from_json(&row.get::<_, String>("tags")?)?,
    })
}
