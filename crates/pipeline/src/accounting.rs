//! What became of every record: received = upserted + deleted + superseded + filtered + rejected + in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::dead_letter::Held;

/// Counts of one pipeline since it was started. Shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Accounts {
    state: Mutex<Account>,
    /// Counted by those who ask the stream, while the pipeline waits for them.
    throttled: Arc<AtomicU64>,
}

/// A moment's counts. They always close: [`Account::is_closed`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    pub received: u64,
    pub upserted: u64,
    pub deleted: u64,
    pub superseded: u64,
    pub filtered: u64,
    pub rejected: u64,
    pub in_flight: u64,
    /// Dead letters that the table's checkpoint holds.
    pub held: u64,
    /// Of these: tried again by themselves, in vain and for the last time.
    pub given_up: u64,
    /// Held letters that were taken up.
    pub redriven: u64,
    /// Held letters that were let go, as the table had a newer state of their item.
    pub redrive_skipped: u64,
    /// Held letters that were let go unread.
    pub purged: u64,
    pub commits: u64,
    /// Commits that failed after all their tries.
    pub commit_failures: u64,
    /// Runs that ended with an error, and those of them after which it was started again.
    pub failures: u64,
    pub restarts: u64,
    /// Calls of the stream that were throttled.
    pub throttled: u64,
    /// Stretches of the stream that were lost before we could read them, as the table records them.
    pub gaps: u64,
    pub last_commit: Option<SystemTime>,
    /// Everything written to the source before this moment is committed.
    pub complete_up_to: Option<SystemTime>,
    /// The same, as the table said when it was taken over: known while a restarted pipeline catches up.
    pub complete_at_start: Option<SystemTime>,
    /// How long the source keeps a record; `None` where it keeps it for ever.
    pub retention: Option<Duration>,
    /// The hour in which the oldest letter that is held was rejected.
    pub held_since: Option<SystemTime>,
}

impl Account {
    pub(crate) fn hold(&mut self, held: &Held) {
        (self.held, self.given_up, self.held_since) = (held.len(), held.given_up(), held.since());
    }

    pub fn is_closed(&self) -> bool {
        let settled = self.upserted + self.deleted + self.superseded + self.filtered + self.rejected;
        self.received == settled + self.in_flight
    }

    /// How old the table's content is at most; `None` before it was first complete.
    pub fn lag(&self, now: SystemTime) -> Option<Duration> {
        // A clock that was set back makes no negative age.
        self.complete_up_to.map(|complete| now.duration_since(complete).unwrap_or_default())
    }

    /// How old the oldest change may be that is not in the table; `None` before the table was ever complete.
    pub fn iterator_age(&self, now: SystemTime) -> Option<Duration> {
        let complete = self.complete_up_to.max(self.complete_at_start);
        complete.map(|complete| now.duration_since(complete).unwrap_or_default())
    }

    /// Seconds until the source may drop a change that is not in the table; below zero where it may have done so.
    pub fn headroom_seconds(&self, now: SystemTime) -> Option<f64> {
        Some(self.retention?.as_secs_f64() - self.iterator_age(now)?.as_secs_f64())
    }

    /// How long the oldest letter has been held, by the hour.
    pub fn held_age(&self, now: SystemTime) -> Duration {
        self.held_since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default()
    }
}

impl Accounts {
    pub fn snapshot(&self) -> Account {
        let account = self.state.lock().expect("no holder panics").clone();
        Account { throttled: self.throttled.load(Ordering::Relaxed), ..account }
    }

    /// Where calls of the source that were throttled are counted.
    pub(crate) fn throttled(&self) -> Arc<AtomicU64> {
        self.throttled.clone()
    }

    /// Takes what was not committed out of the counts: the next run reads it again.
    pub fn drop_in_flight(&self) {
        self.update(|account| account.received -= std::mem::take(&mut account.in_flight));
    }

    /// Changes the counts in one step, so that no reader sees an account that does not close.
    pub fn update(&self, change: impl FnOnce(&mut Account)) {
        let mut account = self.state.lock().expect("no holder panics");
        change(&mut account);
        debug_assert!(account.is_closed(), "received is not the sum of its parts: {account:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_before_expiry_is_known_while_a_restarted_pipeline_catches_up() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100_000);
        let ago = |seconds| Some(now - Duration::from_secs(seconds));
        let day = Some(Duration::from_secs(86_400));
        let restarted = Account { complete_at_start: ago(3_600), retention: day, ..Account::default() };
        assert_eq!((restarted.lag(now), restarted.headroom_seconds(now)), (None, Some(82_800.0)));
        let caught_up = Account { complete_up_to: ago(10), ..restarted.clone() };
        assert_eq!(caught_up.headroom_seconds(now), Some(86_390.0));
        let too_late = Account { complete_at_start: ago(90_000), ..restarted };
        assert_eq!(too_late.headroom_seconds(now), Some(-3_600.0));
        assert_eq!(Account::default().headroom_seconds(now), None);
    }
}
