//! Whose turn it is to commit to a table, among those in one process.
//!
//! Commits race: each is built on a head, and the catalog lets one win. Who takes long to build one, as maintenance does,
//! would lose for ever against a pipeline that commits every second. So who has lost a few times gets a turn: the others
//! wait for one attempt of his.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use uuid::Uuid;

/// Attempts that a commit may lose before it gets a turn.
const RACES_MAX: u32 = 2;

/// Clones know of each other: give one to all catalogs of a process that reach the same tables.
#[derive(Clone, Default)]
pub struct Turns {
    /// Racing attempts hold the lock together, a turn holds it alone. It is fair: a turn comes when those have ended that
    /// were there before it was asked for.
    tables: Arc<Mutex<HashMap<Uuid, Arc<RwLock<()>>>>>,
}

/// The right to make one attempt.
pub(crate) enum Turn {
    Racing { _others_race_too: OwnedRwLockReadGuard<()> },
    Alone { _others_wait: OwnedRwLockWriteGuard<()> },
}

impl Turns {
    /// Waits for the right to make the attempt `attempt_number`, counted from 1, on the table `uuid`.
    pub(crate) async fn wait(&self, uuid: Uuid, attempt_number: u32) -> Turn {
        let lock = {
            // No holder can panic between two states that differ.
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.entry(uuid).or_default().clone()
        };
        match attempt_number <= RACES_MAX {
            true => Turn::Racing { _others_race_too: lock.read_owned().await },
            false => Turn::Alone { _others_wait: lock.write_owned().await },
        }
    }
}

impl Turn {
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Alone { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const TABLE: Uuid = Uuid::from_u128(1);
    const A_WHILE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_lost_twice_commits_alone() {
        let turns = Turns::default();
        let pipeline = turns.wait(TABLE, 1).await;
        let compaction = turns.wait(TABLE, 2).await;
        assert!(!pipeline.is_alone() && !compaction.is_alone());
        drop(compaction);

        let other = turns.clone();
        let compaction = tokio::spawn(async move { other.wait(TABLE, 3).await });
        tokio::task::yield_now().await;
        // The attempt that was there first ends; the next one comes after the turn.
        assert!(!compaction.is_finished());
        assert!(timeout(A_WHILE, turns.wait(TABLE, 1)).await.is_err());
        drop(pipeline);
        let turn = compaction.await.unwrap();
        assert!(turn.is_alone());
        assert!(timeout(A_WHILE, turns.wait(TABLE, 1)).await.is_err());
        assert!(timeout(A_WHILE, turns.wait(Uuid::from_u128(2), 1)).await.is_ok(), "another table has its own turns");
        drop(turn);
        assert!(!turns.wait(TABLE, 1).await.is_alone());
    }
}
