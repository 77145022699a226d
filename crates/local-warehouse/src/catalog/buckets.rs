//! Table buckets.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::catalog::error::{CatalogError, Entity, Result};
use crate::catalog::names::{TableBucketArn, check_table_bucket_name};
use crate::catalog::{Catalog, PageRequest};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableBucket {
    pub id: String,
    pub arn: TableBucketArn,
    pub created_ms: i64,
    pub tags: BTreeMap<String, String>,
}

const COLUMNS: &str = "id, account, region, name, created_ms, tags";

impl Catalog {
    pub(crate) fn create_table_bucket(
        &self,
        arn: &TableBucketArn,
        tags: &BTreeMap<String, String>,
    ) -> Result<TableBucket> {
        check_table_bucket_name(&arn.name)?;
        let bucket = TableBucket {
            id: self.ambient.uuid().to_string(),
            arn: arn.clone(),
            created_ms: self.ambient.now_ms(),
            tags: tags.clone(),
        };
        self.store.write(|db| {
            if find(db, arn)?.is_some() {
                return Err(CatalogError::AlreadyExists(Entity::TableBucket, arn.name.clone()));
            }
            db.execute(
                &format!("INSERT INTO table_bucket ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"),
                params![bucket.id, arn.account, arn.region, arn.name, bucket.created_ms, to_json(tags)?],
            )?;
            Ok(())
        })?;
        Ok(bucket)
    }

    pub(crate) fn table_bucket(&self, arn: &TableBucketArn) -> Result<TableBucket> {
        self.store.read(|db| existing(db, arn))
    }

    /// The table buckets of one account and region, by name.
    pub(crate) fn table_buckets(&self, account: &str, region: &str, page: &PageRequest) -> Result<Vec<TableBucket>> {
        self.store.read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM table_bucket WHERE account = ? AND region = ? AND name > ?
                 AND substr(name, 1, length(?4)) = ?4 ORDER BY name LIMIT ?"
            ))?;
            let values = params![account, region, page.after, page.prefix, page.count_max];
            let buckets = statement.query_map(values, from_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(buckets)
        })
    }

    pub(crate) fn set_table_bucket_tags(&self, arn: &TableBucketArn, tags: &BTreeMap<String, String>) -> Result<()> {
        self.store.write(|db| {
            let bucket = existing(db, arn)?;
            db.execute("UPDATE table_bucket SET tags = ? WHERE id = ?", params![to_json(tags)?, bucket.id])?;
            Ok(())
        })
    }

    pub(crate) fn delete_table_bucket(&self, arn: &TableBucketArn) -> Result<()> {
        self.store.write(|db| {
            let bucket = existing(db, arn)?;
            let is_used = "SELECT EXISTS (SELECT 1 FROM namespace WHERE bucket_id = ?)";
            if db.query_row(is_used, [&bucket.id], |row| row.get(0))? {
                return Err(CatalogError::NotEmpty(Entity::TableBucket, arn.name.clone()));
            }
            db.execute("DELETE FROM table_bucket WHERE id = ?", [&bucket.id])?;
            Ok(())
        })
    }
}

pub(super) fn existing(db: &Connection, arn: &TableBucketArn) -> Result<TableBucket> {
    find(db, arn)?.ok_or_else(|| CatalogError::NotFound(Entity::TableBucket, arn.to_string()))
}

pub(super) fn to_json(tags: &BTreeMap<String, String>) -> Result<String> {
    serde_json::to_string(tags).map_err(CatalogError::failed)
}

pub(super) fn from_json(tags: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    serde_json::from_str(tags)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

fn find(db: &Connection, arn: &TableBucketArn) -> Result<Option<TableBucket>> {
    let mut statement = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM table_bucket WHERE account = ? AND region = ? AND name = ?"))?;
    Ok(statement.query_row(params![arn.account, arn.region, arn.name], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TableBucket> {
    Ok(TableBucket {
        id: row.get("id")?,
        arn: TableBucketArn { region: row.get("region")?, account: row.get("account")?, name: row.get("name")? },
        created_ms: row.get("created_ms")?,
        tags: from_json(&row.get::<_, String>("tags")?)?,
    })
}
