//! Which snapshots a table can do without.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention, TableMetadata};

use crate::commit::ties;
use crate::error::Result;
use crate::maintain::expire::refs::refs;

/// Snapshots that leave in one commit; the next run takes the next ones. The list of files that they free is held in
/// memory for the grace time.
const SNAPSHOTS_MAX: usize = 10_000;

/// Keeps the newest snapshots of each branch, so many at least, and all that are young. Where the table itself asks for
/// more, by its properties or for a branch, more is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    pub snapshots_min: u32,
    pub age_max: Duration,
}

impl Default for SnapshotPolicy {
    /// What S3 Tables does where nothing else is asked for.
    fn default() -> Self {
        Self { snapshots_min: 1, age_max: Duration::from_secs(120 * 60 * 60) }
    }
}

/// What is to leave a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Oldest first.
    pub snapshot_ids: Vec<i64>,
    /// Branches and tags that are older than `max-ref-age-ms` lets them become.
    pub refs: Vec<String>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.snapshot_ids.is_empty() && self.refs.is_empty()
    }
}

/// Chooses what leaves the table at the time `now_ms`.
///
/// A snapshot leaves if it is older than the age and its branch has the minimum of newer ones; one that no branch or tag
/// leads to, by its age alone. The head of a branch and what a tag names stay, and so does what the writer finds its
/// checkpoint by. `Refused` where the table was rolled back: a person decides first.
pub fn plan(metadata: &TableMetadata, policy: &SnapshotPolicy, now_ms: i64) -> Result<Plan> {
    let asked = Asked::of(metadata, policy);
    let mut refs = refs(metadata)?;
    let outlived = |name: &str, reference: &SnapshotReference| {
        let age_ms = metadata.snapshot_by_id(reference.snapshot_id).map_or(0, |head| now_ms - head.timestamp_ms());
        let age_ms_max = ref_age_ms_max(reference).or(asked.ref_age_ms_max);
        name != MAIN_BRANCH && age_ms_max.is_some_and(|age_ms_max| age_ms > age_ms_max)
    };
    let outlived: BTreeMap<_, _> = refs.extract_if(.., |name, reference| outlived(name, reference)).collect();

    let mut kept: HashSet<i64> = ties(metadata)?.into_iter().collect();
    let mut led_to: HashSet<i64> = HashSet::new();
    for reference in refs.values() {
        kept.insert(reference.snapshot_id);
        led_to.insert(reference.snapshot_id);
        let SnapshotRetention::Branch { min_snapshots_to_keep, max_snapshot_age_ms, .. } = reference.retention else {
            continue;
        };
        let snapshots_min = i64::from(min_snapshots_to_keep.unwrap_or(0)).max(asked.snapshots_min);
        let age_ms_max = max_snapshot_age_ms.unwrap_or(0).max(asked.age_ms_max);
        let mut id = Some(reference.snapshot_id);
        let mut newer = 0;
        while let Some(snapshot) = id.and_then(|id| metadata.snapshot_by_id(id)) {
            led_to.insert(snapshot.snapshot_id());
            if newer < snapshots_min || now_ms - snapshot.timestamp_ms() <= age_ms_max {
                kept.insert(snapshot.snapshot_id());
            }
            newer += 1;
            id = snapshot.parent_snapshot_id();
        }
    }

    let mut leaving: Vec<_> = metadata.snapshots().filter(|snapshot| !kept.contains(&snapshot.snapshot_id())).collect();
    leaving.retain(|snapshot| {
        led_to.contains(&snapshot.snapshot_id()) || now_ms - snapshot.timestamp_ms() > asked.age_ms_max
    });
    leaving.sort_by_key(|snapshot| (snapshot.sequence_number(), snapshot.timestamp_ms(), snapshot.snapshot_id()));
    leaving.truncate(SNAPSHOTS_MAX);
    let snapshot_ids = leaving.iter().map(|snapshot| snapshot.snapshot_id()).collect();
    Ok(Plan { snapshot_ids, refs: outlived.into_keys().collect() })
}

/// What policy and table properties together ask for.
struct Asked {
    snapshots_min: i64,
    age_ms_max: i64,
    ref_age_ms_max: Option<i64>,
}

impl Asked {
    fn of(metadata: &TableMetadata, policy: &SnapshotPolicy) -> Self {
        let property = |name: &str| -> Option<i64> { metadata.properties().get(name)?.parse().ok() };
        let snapshots_min = property("history.expire.min-snapshots-to-keep").unwrap_or(0);
        let age_ms_max = property("history.expire.max-snapshot-age-ms").unwrap_or(0);
        Self {
            snapshots_min: snapshots_min.max(policy.snapshots_min.into()),
            age_ms_max: age_ms_max.max(policy.age_max.as_millis().try_into().unwrap_or(i64::MAX)),
            ref_age_ms_max: property("history.expire.max-ref-age-ms"),
        }
    }
}

fn ref_age_ms_max(reference: &SnapshotReference) -> Option<i64> {
    match reference.retention {
        SnapshotRetention::Branch { max_ref_age_ms, .. } | SnapshotRetention::Tag { max_ref_age_ms } => max_ref_age_ms,
    }
}

#[cfg(test)]
mod tests;
