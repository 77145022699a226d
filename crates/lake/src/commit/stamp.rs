//! What each of our commits leaves in the table beside its rows, and how it is found again.
//!
//! The stamp stands in the snapshot's summary, and with the snapshot's id in one table property: a summary goes when
//! its snapshot expires. Both are set by the same commit request, so they never disagree by themselves.

use std::collections::HashMap;

use iceberg::spec::{Snapshot, TableMetadata};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commit::checkpoint::StoredCheckpoint;
use crate::error::{Error, ErrorKind, Result};

const PIPELINE: &str = "dynaberg.pipeline";
const EPOCH: &str = "dynaberg.epoch";
const COMMIT_ID: &str = "dynaberg.commit-id";
const CHECKPOINT: &str = "dynaberg.checkpoint";
const CHECKPOINT_FILE: &str = "dynaberg.checkpoint-file";
const CHECKPOINT_SHA256: &str = "dynaberg.checkpoint-sha256";
const COMPLETE_UP_TO: &str = "dynaberg.complete-up-to";
/// The id of a commit of maintenance. Its snapshot carries the stamp it found on, so the commit id there is another's.
pub(crate) const MAINTENANCE_ID: &str = "dynaberg.maintenance-id";

/// The table property that holds a [`Witness`].
const PROPERTY: &str = "dynaberg.checkpoint";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Stamp {
    /// Whose checkpoint it is.
    pub pipeline: String,
    /// Raised by each takeover of the table.
    pub epoch: u64,
    /// One per logical commit, the same over all its attempts.
    pub commit_id: Uuid,
    /// `None` from the first takeover until the first batch.
    #[serde(flatten)]
    pub checkpoint: Option<StoredCheckpoint>,
    /// Everything written to the source before this moment is in the table, in milliseconds since the Unix epoch. For
    /// those who read the table; no commit depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_up_to_ms: Option<i64>,
}

/// The property's content: the stamp of the last of our snapshots, and which one that is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Witness {
    snapshot_id: i64,
    #[serde(flatten)]
    stamp: Stamp,
}

impl Stamp {
    pub fn summary(&self) -> HashMap<String, String> {
        let mut summary = HashMap::from([
            (PIPELINE.to_owned(), self.pipeline.clone()),
            (EPOCH.to_owned(), self.epoch.to_string()),
            (COMMIT_ID.to_owned(), self.commit_id.to_string()),
        ]);
        if let Some(moment) = self.complete_up_to_ms {
            summary.insert(COMPLETE_UP_TO.to_owned(), moment.to_string());
        }
        match &self.checkpoint {
            None => {}
            Some(StoredCheckpoint::Text(text)) => {
                summary.insert(CHECKPOINT.to_owned(), text.clone());
            }
            Some(StoredCheckpoint::File { uri, sha256 }) => {
                summary.insert(CHECKPOINT_FILE.to_owned(), uri.clone());
                summary.insert(CHECKPOINT_SHA256.to_owned(), sha256.clone());
            }
        }
        summary
    }

    pub fn properties(&self, snapshot_id: i64) -> HashMap<String, String> {
        let witness = Witness { snapshot_id, stamp: self.clone() };
        let text = serde_json::to_string(&witness).expect("numbers and strings serialise");
        HashMap::from([(PROPERTY.to_owned(), text)])
    }

    /// The stamp in a snapshot's summary; `None` where the snapshot is not one of ours.
    fn of_snapshot(snapshot: &Snapshot) -> Result<Option<Self>> {
        let summary = &snapshot.summary().additional_properties;
        let Some(commit_id) = summary.get(COMMIT_ID) else {
            return Ok(None);
        };
        let unreadable = || {
            let message = format!("read the stamp of snapshot {}", snapshot.snapshot_id());
            Error::new(ErrorKind::Unexpected, message)
        };
        let checkpoint = match (summary.get(CHECKPOINT), summary.get(CHECKPOINT_FILE)) {
            (Some(text), _) => Some(StoredCheckpoint::Text(text.clone())),
            (None, Some(uri)) => {
                let sha256 = summary.get(CHECKPOINT_SHA256).ok_or_else(unreadable)?.clone();
                Some(StoredCheckpoint::File { uri: uri.clone(), sha256 })
            }
            (None, None) => None,
        };
        Ok(Some(Self {
            pipeline: summary.get(PIPELINE).ok_or_else(unreadable)?.clone(),
            epoch: summary.get(EPOCH).and_then(|epoch| epoch.parse().ok()).ok_or_else(unreadable)?,
            commit_id: commit_id.parse().map_err(|error| unreadable().with_source(error))?,
            checkpoint,
            complete_up_to_ms: summary.get(COMPLETE_UP_TO).and_then(|moment| moment.parse().ok()),
        }))
    }
}

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

fn witness(metadata: &TableMetadata) -> Result<Option<Witness>> {
    let Some(text) = metadata.properties().get(PROPERTY) else {
        return Ok(None);
    };
    let witness = serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Unexpected, format!("read the table property {PROPERTY}")).with_source(error)
    })?;
    Ok(Some(witness))
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
