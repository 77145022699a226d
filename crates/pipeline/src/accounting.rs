//! What became of every record: received = upserted + deleted + superseded + filtered + rejected + in flight.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use crate::dead_letter::Held;

/// Counts of one pipeline since it was started. Shared with whoever shows them.
#[derive(Debug, Default)]
pub struct Accounts {
    state: Mutex<Account>,
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
    /// Stretches of the stream that were lost before we could read them, as the table records them.
    pub gaps: u64,
    pub last_commit: Option<SystemTime>,
    /// Everything written to the source before this moment is committed.
    pub complete_up_to: Option<SystemTime>,
}

impl Account {
    pub(crate) fn hold(&mut self, held: &Held) {
        (self.held, self.given_up) = (held.len(), held.given_up());
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
}

impl Accounts {
    pub fn snapshot(&self) -> Account {
        self.state.lock().expect("no holder panics").clone()
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
