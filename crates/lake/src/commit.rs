//! One snapshot on the table's head: built, sent, and followed until its outcome is known.
//!
//! `row_delta` builds an attempt out of `manifests` and `snapshot_files`; `stamp` is what a commit leaves in the table,
//! `checkpoint` the text in it, and `lineage` finds both again.
//!
//! The commit id stays the same over all attempts, each attempt is built on a head whose stamp was checked, the
//! catalog lets at most one request per head win, and a failure that may be a success is looked up before anything
//! else is done.

mod checkpoint;
mod lineage;
mod manifests;
mod row_delta;
mod snapshot_files;
mod stamp;

use std::time::Duration;

use async_trait::async_trait;
use iceberg::table::Table;
use tracing::{debug, warn};
use uuid::Uuid;

pub(crate) use crate::commit::checkpoint::StoredCheckpoint;
pub use crate::commit::lineage::stored_checkpoint;
pub(crate) use crate::commit::lineage::{
    checkpoint_file, find, is_own_and_empty, is_stamped, ties, witnessed_checkpoint_file,
};
pub(crate) use crate::commit::row_delta::{Replaced, RowDelta};
pub(crate) use crate::commit::stamp::Stamp;

use crate::backoff::Backoff;
use crate::catalog::{Catalog, Outcome};
use crate::commit::lineage::landed_as;
use crate::commit::row_delta::Attempt;
use crate::error::{Error, ErrorKind, Result};

/// Heads that a commit is built on before it gives way to whoever keeps moving the table.
const ATTEMPTS_MAX: u32 = 30;
const CONFLICT_BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
/// Tries to learn what became of a request: about ten minutes. A takeover that follows settles it for good.
const RESOLVE_ATTEMPTS_MAX: u32 = 80;
const RESOLVE_BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(15) };

/// What to commit, worked out anew for each head.
#[async_trait]
pub(crate) trait Change: Send {
    fn commit_id(&self) -> Uuid;
    /// The delta on `head`, whose stamp is `found`. `Fenced` where the table is no longer ours to change.
    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta>;
    /// A request was sent whose outcome is unknown: from now on nothing that it may have committed must be deleted.
    fn doubted(&mut self) {}
}

/// A commit that landed.
pub(crate) struct Landed {
    /// The table with it. Others may have committed since.
    pub table: Table,
    /// The snapshot it became.
    pub snapshot_id: i64,
}

/// Makes `change` visible in one snapshot, or not at all. `head` may be out of date. `Transient` where the table is too
/// busy, or the outcome could not be learned in time: then only a takeover tells.
pub(crate) async fn commit(catalog: &Catalog, mut head: Table, change: &mut dyn Change) -> Result<Landed> {
    for attempt_number in 1..=ATTEMPTS_MAX {
        let turn = catalog.turns().wait(head.metadata().uuid(), attempt_number).await;
        if turn.is_alone() {
            // Others may have committed while this one waited.
            head = catalog.load_table(head.identifier()).await?;
            if let Some(snapshot_id) = landed_as(head.metadata(), change.commit_id())? {
                return Ok(Landed { table: head, snapshot_id });
            }
        }
        let delta = change.prepare(&head, find(head.metadata())?).await?;
        let attempt = delta.build(&head, catalog.ambient()).await?;
        match follow(catalog, &head, change, &attempt).await? {
            Sent::Landed(landed) => return Ok(landed),
            // Its files stay: what is unknown is never deleted, and in the end found by the collector.
            Sent::Overtaken(table) => head = table,
            Sent::Refused(error) => {
                discard(&head, &delta, &attempt).await;
                if error.kind() != ErrorKind::Transient {
                    return Err(error);
                }
                drop(turn);
                debug!(attempt_number, error = %error, "lost the race for the table's head");
                CONFLICT_BACKOFF.wait(catalog.ambient(), attempt_number).await;
                head = catalog.load_table(head.identifier()).await?;
                if let Some(snapshot_id) = landed_as(head.metadata(), change.commit_id())? {
                    return Ok(Landed { table: head, snapshot_id });
                }
            }
        }
    }
    Err(Error::new(ErrorKind::Transient, format!("commit to {}, which others keep changing", head.identifier())))
}

/// What became of an attempt.
enum Sent {
    Landed(Landed),
    /// It was refused, for certain. `Transient` where another head may do.
    Refused(Error),
    /// Its outcome was unknown, and now the head has moved on without it.
    Overtaken(Table),
}

/// Sends the attempt, again and again with the same bytes where that is safe, until it is known what became of it.
async fn follow(catalog: &Catalog, head: &Table, change: &mut dyn Change, attempt: &Attempt) -> Result<Sent> {
    let commit_id = change.commit_id();
    let mut is_doubtful = false;
    let mut last_error = None;
    for try_number in 1..=RESOLVE_ATTEMPTS_MAX {
        let error = match catalog.try_commit(head, &attempt.request).await {
            Outcome::Applied(table) => return landed(*table, commit_id),
            Outcome::Conflict(error) if !is_doubtful => {
                let message = format!("commit to {}, whose head has moved", head.identifier());
                return Ok(Sent::Refused(Error::new(ErrorKind::Transient, message).with_source(error)));
            }
            Outcome::Refused(error) if !is_doubtful => return Ok(Sent::Refused(error)),
            Outcome::NotSent(error) => error,
            // After one try whose outcome is unknown, a refusal of the next may be that one's success.
            Outcome::Unknown(error) | Outcome::Conflict(error) | Outcome::Refused(error) => {
                is_doubtful = true;
                change.doubted();
                error
            }
        };
        warn!(try_number, is_doubtful, error = %error, "a commit has no answer");
        last_error = Some(error);
        RESOLVE_BACKOFF.wait(catalog.ambient(), try_number).await;
        if !is_doubtful {
            continue;
        }
        match look_up(catalog, head, commit_id).await? {
            // The same head is still there: the request may be on its way. Of the two, one at most can win.
            None => {}
            Some(sent) => return Ok(sent),
        }
    }
    let error = Error::new(ErrorKind::Transient, format!("learn what became of a commit to {}", head.identifier()));
    Err(match last_error {
        Some(last_error) => error.with_source(last_error),
        None => error,
    })
}

/// Looks for the commit in the table; `None` where the head has not moved.
async fn look_up(catalog: &Catalog, head: &Table, commit_id: Uuid) -> Result<Option<Sent>> {
    let mut try_number = 1;
    let now = loop {
        let error = match catalog.load_table(head.identifier()).await {
            Ok(table) => break table,
            Err(error) => error,
        };
        if error.kind() != ErrorKind::Transient || try_number == RESOLVE_ATTEMPTS_MAX {
            return Err(error);
        }
        warn!(try_number, error = %error, "cannot look up a commit");
        RESOLVE_BACKOFF.wait(catalog.ambient(), try_number).await;
        try_number += 1;
    };
    if let Some(snapshot_id) = landed_as(now.metadata(), commit_id)? {
        return Ok(Some(Sent::Landed(Landed { table: now, snapshot_id })));
    }
    let is_same_head = now.metadata().uuid() == head.metadata().uuid()
        && now.metadata().current_snapshot_id() == head.metadata().current_snapshot_id();
    Ok((!is_same_head).then_some(Sent::Overtaken(now)))
}

fn landed(table: Table, commit_id: Uuid) -> Result<Sent> {
    match landed_as(table.metadata(), commit_id)? {
        Some(snapshot_id) => Ok(Sent::Landed(Landed { table, snapshot_id })),
        None => Err(Error::new(ErrorKind::Unexpected, format!("find a confirmed commit in {}", table.identifier()))),
    }
}

/// Deletes what only a refused attempt needed. What cannot be deleted now is an orphan, and found as one.
async fn discard(head: &Table, delta: &RowDelta, attempt: &Attempt) {
    let deletes = delta.delete_files.iter().map(|file| &file.path);
    for path in attempt.files.iter().chain(deletes) {
        if let Err(error) = head.file_io().delete(path).await {
            debug!(path, error = %error, "left a file behind");
        }
    }
}
