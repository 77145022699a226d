//! Takes old snapshots out of a table, and later the files that only they held.
//!
//! Two steps with a grace time of the caller's between them: [`run`] commits the table without the snapshots, so that
//! nobody finds them any more, and [`remove`] deletes what they alone held once those who had found them are done. A
//! process that ends between the two leaves the files to the sweep.
//!
//! `plan` chooses the snapshots, `refs` reads branches and tags, `freed` lists files, `removal` deletes them.

mod freed;
mod plan;
mod refs;
mod removal;

use std::collections::HashSet;
use std::time::Duration;

use iceberg::table::Table;
use iceberg::{TableIdent, TableRequirement, TableUpdate};
use tracing::{debug, info};
use uuid::Uuid;

pub use crate::maintain::expire::freed::{FileKind, FreedFile};
pub use crate::maintain::expire::plan::{Plan, SnapshotPolicy, plan};
pub use crate::maintain::expire::removal::{Removed, remove};

use crate::backoff::Backoff;
use crate::catalog::{Catalog, CommitRequest, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::expire::freed::freed_files;
use crate::maintain::expire::refs::refs;
use crate::maintain::inventory::Inventory;
use crate::maintain::reachable::refuse_shared_files;
use crate::maintain::store_clock;

/// Heads that an expiry is planned on before it gives way to those who keep moving the table.
const ATTEMPTS_MAX: u32 = 10;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

/// What left the table.
#[derive(Debug, Default)]
pub struct Expired {
    pub snapshot_ids: Vec<i64>,
    /// Branches and tags that were older than they are kept.
    pub refs: Vec<String>,
    /// Files that only these snapshots held, for [`remove`].
    pub freed: Vec<FreedFile>,
    /// The table that they were freed from; `None` where nothing left.
    table_uuid: Option<Uuid>,
    /// When the table was last changed before it.
    before_ms: i64,
}

/// Expires what `policy` does not keep, in one commit. Nothing is changed where a file cannot be read that tells what is
/// still needed. `Transient` where the table is too busy.
pub async fn run(
    catalog: &Catalog,
    table: &TableIdent,
    policy: &SnapshotPolicy,
    inventory: &mut Inventory,
) -> Result<Expired> {
    // An earlier try whose outcome is not known. Snapshots that left can leave only once, so that it is enough to look.
    let mut doubtful: Option<Expired> = None;
    let mut known: Option<Uuid> = None;
    for attempt_number in 1..=ATTEMPTS_MAX {
        let turn = match known {
            None => None,
            Some(uuid) => Some(catalog.turns().wait(uuid, attempt_number).await),
        };
        let head = catalog.load_table(table).await?;
        known = Some(head.metadata().uuid());
        if let Some(expired) = doubtful.take_if(|expired| has_left(&head, expired)) {
            return Ok(told(&head, expired));
        }
        let plan = plan_now(catalog, &head, policy).await?;
        if plan.is_empty() {
            return Ok(Expired::default());
        }
        let leaving: HashSet<i64> = plan.snapshot_ids.iter().copied().collect();
        let expired = Expired {
            freed: freed_files(&head, &leaving, inventory).await?,
            table_uuid: Some(head.metadata().uuid()),
            before_ms: head.metadata().last_updated_ms(),
            snapshot_ids: plan.snapshot_ids,
            refs: plan.refs,
        };
        match catalog.try_commit(&head, &request(&head, &expired)?).await {
            Outcome::Applied(table) => return Ok(told(&table, expired)),
            Outcome::Refused(error) => return Err(error),
            Outcome::Conflict(error) | Outcome::NotSent(error) => {
                debug!(attempt_number, error = %error, "expiry lost the race for the table's head");
            }
            Outcome::Unknown(error) => {
                debug!(attempt_number, error = %error, "expiry has no answer");
                doubtful = Some(expired);
            }
        }
        drop(turn);
        BACKOFF.wait(catalog.ambient(), attempt_number).await;
    }
    Err(Error::new(ErrorKind::Transient, format!("expire snapshots of {table}, which others keep changing")))
}

/// Plans by the time that is earlier, ours or the store's: a clock that runs ahead must not expire too much.
async fn plan_now(catalog: &Catalog, head: &Table, policy: &SnapshotPolicy) -> Result<Plan> {
    let ours_ms = catalog.ambient().now_ms();
    let first = plan(head.metadata(), policy, ours_ms)?;
    if first.is_empty() {
        return Ok(first);
    }
    refuse_shared_files(head)?;
    let location = head.metadata().location();
    let stores_ms = store_clock::now_ms(&catalog.store_for(location)?, location, catalog.ambient()).await?;
    if ours_ms <= stores_ms { Ok(first) } else { plan(head.metadata(), policy, stores_ms) }
}

/// The commit holds only while every branch and tag that the choice rests on is where it was. The protocol has no
/// requirement that there be no new one: a tag that somebody makes on a leaving snapshot between our load and our commit
/// leaves with it.
fn request(head: &Table, expired: &Expired) -> Result<CommitRequest> {
    let metadata = head.metadata();
    let mut requirements = vec![TableRequirement::UuidMatch { uuid: metadata.uuid() }];
    requirements.extend(refs(metadata)?.into_iter().map(|(name, reference)| TableRequirement::RefSnapshotIdMatch {
        r#ref: name,
        snapshot_id: Some(reference.snapshot_id),
    }));

    let removed_refs = expired.refs.iter().map(|name| TableUpdate::RemoveSnapshotRef { ref_name: name.clone() });
    let mut updates: Vec<TableUpdate> = removed_refs.collect();
    for snapshot_id in expired.snapshot_ids.iter().copied() {
        if metadata.statistics_for_snapshot(snapshot_id).is_some() {
            updates.push(TableUpdate::RemoveStatistics { snapshot_id });
        }
        if metadata.partition_statistics_for_snapshot(snapshot_id).is_some() {
            updates.push(TableUpdate::RemovePartitionStatistics { snapshot_id });
        }
    }
    if !expired.snapshot_ids.is_empty() {
        updates.push(TableUpdate::RemoveSnapshots { snapshot_ids: expired.snapshot_ids.clone() });
    }
    CommitRequest::new(head, requirements, updates)
}

fn has_left(head: &Table, expired: &Expired) -> bool {
    let metadata = head.metadata();
    let has_gone = |id: &i64| metadata.snapshot_by_id(*id).is_none();
    expired.table_uuid == Some(metadata.uuid())
        && expired.snapshot_ids.iter().all(has_gone)
        && expired.refs.iter().all(|name| metadata.snapshot_for_ref(name).is_none())
}

fn told(table: &Table, expired: Expired) -> Expired {
    let (snapshots, files) = (expired.snapshot_ids.len(), expired.freed.len());
    info!(table = %table.identifier(), snapshots, files, "expired snapshots");
    expired
}
