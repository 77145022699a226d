//! How our commits are found again in what a table still knows of its past.

use iceberg::spec::{Snapshot, TableMetadata};
use iceberg::table::Table;
use uuid::Uuid;

use crate::commit::checkpoint::StoredCheckpoint;
use crate::commit::stamp::{CHECKPOINT_FILE, COMMIT_ID, MAINTENANCE_ID, PROPERTY, Stamp, Witness, witness};
use crate::error::{Error, ErrorKind, Result};

/// The stamp that the table's head stands on; `None` for a table that was never ours.
///
/// It is in the head's summary, or else in that of its nearest ancestor that has one, or else in the table property if
/// that names the parent of the oldest ancestor still kept. All else means that the table was rolled back or replaced:
/// `Refused`, as going on would be a guess. An operator accepts a rollback by removing the property.
pub(crate) fn find(metadata: &TableMetadata) -> Result<Option<Stamp>> {
    let witness = witness(metadata)?;
    let mut id = metadata.current_snapshot_id();
    while let Some(snapshot) = id.and_then(|id| metadata.snapshot_by_id(id)) {
        if let Some(stamp) = Stamp::of_snapshot(snapshot)? {
            return match witness {
                Some(witness) if witness.snapshot_id != snapshot.snapshot_id() => Err(rolled_back(metadata, &witness)),
                _ => Ok(Some(stamp)),
            };
        }
        id = snapshot.parent_snapshot_id();
    }
    match witness {
        None => Ok(None),
        Some(witness) if id == Some(witness.snapshot_id) => Ok(Some(witness.stamp)),
        Some(witness) => Err(rolled_back(metadata, &witness)),
    }
}

/// The checkpoint text that a table holds, for those who only look; `None` where it has none yet.
pub async fn stored_checkpoint(table: &Table) -> Result<Option<String>> {
    match find(table.metadata())?.and_then(|stamp| stamp.checkpoint) {
        Some(checkpoint) => checkpoint.read(table).await.map(Some),
        None => Ok(None),
    }
}

/// The snapshots from the head down to the one that holds the stamp which the head stands on, or down to the last one
/// kept if the property holds it. With any of them gone, the stamp could no longer be tied to the head.
pub(crate) fn ties(metadata: &TableMetadata) -> Result<Vec<i64>> {
    let mut ties = Vec::new();
    if find(metadata)?.is_none() {
        return Ok(ties);
    }
    let mut id = metadata.current_snapshot_id();
    while let Some(snapshot) = id.and_then(|id| metadata.snapshot_by_id(id)) {
        ties.push(snapshot.snapshot_id());
        if Stamp::of_snapshot(snapshot)?.is_some() {
            break;
        }
        id = snapshot.parent_snapshot_id();
    }
    Ok(ties)
}

/// The file of the checkpoint in a snapshot's summary, where it lies in one.
pub(crate) fn checkpoint_file(snapshot: &Snapshot) -> Option<&str> {
    snapshot.summary().additional_properties.get(CHECKPOINT_FILE).map(String::as_str)
}

/// The file of the checkpoint in the table property, where it lies in one.
pub(crate) fn witnessed_checkpoint_file(metadata: &TableMetadata) -> Result<Option<String>> {
    let checkpoint = witness(metadata)?.and_then(|witness| witness.stamp.checkpoint);
    Ok(checkpoint.and_then(|checkpoint| match checkpoint {
        StoredCheckpoint::File { uri, .. } => Some(uri),
        StoredCheckpoint::Text(_) => None,
    }))
}

/// The snapshot that the commit `commit_id` became, if it landed.
pub(crate) fn landed_as(metadata: &TableMetadata, commit_id: Uuid) -> Result<Option<i64>> {
    let text = commit_id.to_string();
    let is_it = |snapshot: &&std::sync::Arc<Snapshot>| {
        let summary = &snapshot.summary().additional_properties;
        summary.get(MAINTENANCE_ID).or_else(|| summary.get(COMMIT_ID)).is_some_and(|id| *id == text)
    };
    if let Some(snapshot) = metadata.snapshots().find(is_it) {
        return Ok(Some(snapshot.snapshot_id()));
    }
    // The snapshot may have expired while we could not look.
    let witness = witness(metadata)?.filter(|witness| witness.stamp.commit_id == commit_id);
    Ok(witness.map(|witness| witness.snapshot_id))
}

/// Whether the head is a snapshot with a stamp of its own, and none that others put on top of one.
pub(crate) fn is_stamped(metadata: &TableMetadata) -> bool {
    let head = metadata.current_snapshot();
    head.is_some_and(|snapshot| snapshot.summary().additional_properties.contains_key(COMMIT_ID))
}

/// Whether a snapshot is one of ours that moved no row, as a takeover.
pub(crate) fn is_own_and_empty(snapshot: &Snapshot) -> bool {
    let summary = &snapshot.summary().additional_properties;
    let changes = ["added-data-files", "added-delete-files", "deleted-data-files", "removed-delete-files"];
    summary.contains_key(COMMIT_ID) && !changes.iter().any(|change| summary.contains_key(*change))
}

fn rolled_back(metadata: &TableMetadata, witness: &Witness) -> Error {
    let head = metadata.current_snapshot_id().map_or("nothing".to_owned(), |id| id.to_string());
    let message = format!(
        "tie the checkpoint of snapshot {id} to the table's head {head}: the table was rolled back or replaced. \
         Try: make {id} the current snapshot again; or remove the table property {PROPERTY}, which accepts the head \
         and reads what the source has had since then again",
        id = witness.snapshot_id
    );
    Error::new(ErrorKind::Refused, message)
}
