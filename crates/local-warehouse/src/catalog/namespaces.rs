//! Namespaces: one level, as S3 Tables has them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::catalog::buckets;
use crate::catalog::error::{CatalogError, Entity, Result};
use crate::catalog::names::{TableBucketArn, check_namespace_name};
use crate::catalog::{Catalog, PageRequest, TableBucket};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    pub id: String,
    pub bucket_id: String,
    pub name: String,
    pub created_ms: i64,
    /// An account.
    pub created_by: String,
    /// Who Iceberg clients say it belongs to; the account, where they say nothing.
    pub owner: String,
}

/// A namespace to create.
#[derive(Debug)]
pub(crate) struct NewNamespace<'a> {
    pub name: &'a str,
    pub created_by: &'a str,
    pub owner: Option<&'a str>,
}

const COLUMNS: &str = "id, bucket_id, name, created_ms, created_by, owner";

impl Catalog {
    pub(crate) fn create_namespace(&self, bucket: &TableBucketArn, new: &NewNamespace<'_>) -> Result<Namespace> {
        let &NewNamespace { name, created_by, owner } = new;
        check_namespace_name(name)?;
        self.store.write(|db| {
            let bucket = buckets::existing(db, bucket)?;
            if find(db, &bucket, name)?.is_some() {
                return Err(CatalogError::AlreadyExists(Entity::Namespace, name.to_owned()));
            }
            let namespace = Namespace {
                id: self.ambient.uuid().to_string(),
                bucket_id: bucket.id,
                name: name.to_owned(),
                created_ms: self.ambient.now_ms(),
                created_by: created_by.to_owned(),
                owner: owner.unwrap_or(created_by).to_owned(),
            };
            db.execute(
                &format!("INSERT INTO namespace ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"),
                params![namespace.id, namespace.bucket_id, name, namespace.created_ms, created_by, namespace.owner],
            )?;
            Ok(namespace)
        })
    }

    pub(crate) fn namespace(&self, bucket: &TableBucketArn, name: &str) -> Result<Namespace> {
        self.store.read(|db| existing(db, &buckets::existing(db, bucket)?, name))
    }

    pub(crate) fn namespaces(&self, bucket: &TableBucketArn, page: &PageRequest) -> Result<Vec<Namespace>> {
        self.store.read(|db| {
            let bucket = buckets::existing(db, bucket)?;
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM namespace WHERE bucket_id = ? AND name > ?
                 AND substr(name, 1, length(?3)) = ?3 ORDER BY name LIMIT ?"
            ))?;
            let values = params![bucket.id, page.after, page.prefix, page.count_max];
            let namespaces = statement.query_map(values, from_row)?.collect::<rusqlite::Result<_>>()?;
            Ok(namespaces)
        })
    }

    pub(crate) fn delete_namespace(&self, bucket: &TableBucketArn, name: &str) -> Result<()> {
        self.store.write(|db| {
            let namespace = existing(db, &buckets::existing(db, bucket)?, name)?;
            let is_used = "SELECT EXISTS (SELECT 1 FROM iceberg_table WHERE namespace_id = ?)";
            if db.query_row(is_used, [&namespace.id], |row| row.get(0))? {
                return Err(CatalogError::NotEmpty(Entity::Namespace, name.to_owned()));
            }
            db.execute("DELETE FROM namespace WHERE id = ?", [&namespace.id])?;
            Ok(())
        })
    }
}

pub(super) fn existing(db: &Connection, bucket: &TableBucket, name: &str) -> Result<Namespace> {
    find(db, bucket, name)?.ok_or_else(|| CatalogError::NotFound(Entity::Namespace, name.to_owned()))
}

fn find(db: &Connection, bucket: &TableBucket, name: &str) -> Result<Option<Namespace>> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM namespace WHERE bucket_id = ? AND name = ?"))?;
    Ok(statement.query_row(params![bucket.id, name], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Namespace> {
    Ok(Namespace {
        id: row.get("id")?,
        bucket_id: row.get("bucket_id")?,
        name: row.get("name")?,
        created_ms: row.get("created_ms")?,
        created_by: row.get("created_by")?,
        owner: row.get("owner")?,
    })
}
