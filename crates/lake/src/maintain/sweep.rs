//! Finds and deletes files that nothing in the table names: of commits that failed, of removals that were cut short.
//!
//! A file of a commit that is still under way is named by nothing either. It is known by its age alone, so that the age
//! must be far above what the longest commit takes; S3 Tables waits 13 days. The table is always loaded after the files
//! were listed, and a file that is named by then stays.
//!
//! `neighbours` makes sure that the folder is one table's alone, `unreferenced` compares names.

mod neighbours;
mod unreferenced;

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use iceberg::TableIdent;
use iceberg::table::Table;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use tracing::info;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::inventory::Inventory;
use crate::maintain::reachable::{needed, refuse_shared_files};
use crate::maintain::removal::{delete, failed};
use crate::maintain::store_clock;
pub(crate) use crate::maintain::sweep::neighbours::is_metadata_file;
use crate::maintain::sweep::neighbours::{refuse_neighbours, refuse_tables_below};
use crate::maintain::sweep::unreferenced::unreferenced;
use crate::scan::{Location, ScanCache};
use crate::storage::Place;

/// Old files that are compared with the table at a time: a listing has no end that memory could rely on.
const CHUNK_FILES_MAX: usize = 50_000;
/// Files that a report names; all are counted.
const NAMED_MAX: usize = 10_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a file is left alone. S3 Tables marks it after the first span and deletes it after the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPolicy {
    pub unreferenced_days: u32,
    pub noncurrent_days: u32,
}

impl Default for SweepPolicy {
    fn default() -> Self {
        Self { unreferenced_days: 3, noncurrent_days: 10 }
    }
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    pub files: u64,
    pub bytes: u64,
    /// The first of them, 10,000 at most.
    pub named: Vec<UnreferencedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreferencedFile {
    /// Its key in the table's bucket.
    pub key: String,
    pub bytes: u64,
    pub last_modified_ms: i64,
}

/// Tells what [`run`] would delete, and deletes nothing.
pub async fn preview(
    catalog: &Catalog,
    table: &TableIdent,
    policy: &SweepPolicy,
    readers: &ScanCache,
    inventory: &mut Inventory,
) -> Result<Swept> {
    sweep(catalog, table, policy, readers, inventory, Found::Told).await
}

/// Deletes the files below the table's location that nothing names and that are older than the policy's two spans
/// together. `Refused` where another table lies in the same folder. Stops at the first failure of the store, and at the
/// first file that cannot be read to learn what is still needed; what was not deleted is found again.
pub async fn run(
    catalog: &Catalog,
    table: &TableIdent,
    policy: &SweepPolicy,
    readers: &ScanCache,
    inventory: &mut Inventory,
) -> Result<Swept> {
    let swept = sweep(catalog, table, policy, readers, inventory, Found::Deleted).await?;
    info!(table = %table, files = swept.files, bytes = swept.bytes, "swept");
    Ok(swept)
}

/// What happens to a file that nothing names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Told,
    Deleted,
}

async fn sweep(
    catalog: &Catalog,
    table: &TableIdent,
    policy: &SweepPolicy,
    readers: &ScanCache,
    inventory: &mut Inventory,
    found: Found,
) -> Result<Swept> {
    let before = catalog.load_table(table).await?;
    refuse_shared_files(&before)?;
    let (store, folder) = folder_of(catalog, &before)?;
    refuse_neighbours(catalog, &before).await?;
    refuse_tables_below(&store, &folder, &before).await?;
    let now_ms = store_clock::now_ms(&store, before.metadata().location(), catalog.ambient()).await?;
    let old_before_ms = now_ms - age_ms(policy)?;

    let mut swept = Swept::default();
    let mut listed = store.list(Some(&folder)).try_chunks(CHUNK_FILES_MAX);
    loop {
        let chunk = listed.try_next().await.map_err(|error| failed(format!("list the files of {table}"), error.1))?;
        let Some(mut chunk) = chunk else { return Ok(swept) };
        chunk.retain(|file| file.last_modified.timestamp_millis() < old_before_ms);
        if chunk.is_empty() {
            continue;
        }
        // Loaded after the listing: a file that came to be named in between is needed.
        let now = catalog.load_table(table).await?;
        refuse_change(&before, &now)?;
        let needed = needed(&now, readers, inventory).await?;
        let unreferenced = unreferenced(&bucket_of(&now)?, chunk, &needed)?;
        swept.add(&unreferenced);
        if found == Found::Deleted {
            delete(&store, unreferenced.into_iter().map(|file| file.location).collect()).await?;
        }
    }
}

impl Swept {
    fn add(&mut self, files: &[ObjectMeta]) {
        self.files += files.len() as u64;
        self.bytes += files.iter().map(|file| file.size).sum::<u64>();
        let room = NAMED_MAX - self.named.len();
        self.named.extend(files.iter().take(room).map(|file| UnreferencedFile {
            key: file.location.to_string(),
            bytes: file.size,
            last_modified_ms: file.last_modified.timestamp_millis(),
        }));
    }
}

/// A day at least: no commit takes as long, and files of one that is under way look just like those of one that failed.
fn age_ms(policy: &SweepPolicy) -> Result<i64> {
    let days = i64::from(policy.unreferenced_days) + i64::from(policy.noncurrent_days);
    if days == 0 {
        let message = "sweep files that are younger than a day, which a commit may still be about to name";
        return Err(Error::new(ErrorKind::Refused, message));
    }
    Ok(days * DAY.as_millis() as i64)
}

fn folder_of(catalog: &Catalog, table: &Table) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let location = table.metadata().location();
    let place = Place::parse(location)?;
    if place.bucket.is_empty() && place.key.trim_matches('/').is_empty() {
        return Err(Error::new(ErrorKind::Refused, format!("sweep {location}, which is a whole file system")));
    }
    Ok((catalog.store_for(location)?, Location::parse(location)?.path))
}

/// `s3://bucket/`, before which a listed key is a location.
fn bucket_of(table: &Table) -> Result<String> {
    Ok(Place::parse(table.metadata().location())?.root())
}

fn refuse_change(before: &Table, now: &Table) -> Result<()> {
    let (before, metadata) = (before.metadata(), now.metadata());
    if metadata.uuid() != before.uuid() || metadata.location() != before.location() {
        let message = format!("sweep {}, which was replaced or moved meanwhile", now.identifier());
        return Err(Error::new(ErrorKind::Refused, message));
    }
    Ok(())
}
