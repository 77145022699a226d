//! What each of our commits leaves in the table beside its rows.
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
pub(super) const COMMIT_ID: &str = "dynaberg.commit-id";
const CHECKPOINT: &str = "dynaberg.checkpoint";
pub(super) const CHECKPOINT_FILE: &str = "dynaberg.checkpoint-file";
const CHECKPOINT_SHA256: &str = "dynaberg.checkpoint-sha256";
const COMPLETE_UP_TO: &str = "dynaberg.complete-up-to";
/// The id of a commit of maintenance. Its snapshot carries the stamp it found on, so the commit id there is another's.
pub(crate) const MAINTENANCE_ID: &str = "dynaberg.maintenance-id";

/// The table property that holds a [`Witness`].
pub(super) const PROPERTY: &str = "dynaberg.checkpoint";

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
pub(super) struct Witness {
    pub snapshot_id: i64,
    #[serde(flatten)]
    pub stamp: Stamp,
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
    pub(super) fn of_snapshot(snapshot: &Snapshot) -> Result<Option<Self>> {
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

pub(super) fn witness(metadata: &TableMetadata) -> Result<Option<Witness>> {
    let Some(text) = metadata.properties().get(PROPERTY) else {
        return Ok(None);
    };
    let witness = serde_json::from_str(text).map_err(|error| {
        Error::new(ErrorKind::Unexpected, format!("read the table property {PROPERTY}")).with_source(error)
    })?;
    Ok(Some(witness))
}
