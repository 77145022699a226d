//! Where a test has the process die.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the calls that change something, and dies beside one of them, by SIGKILL. [`FailPoint::none`] never does.
#[derive(Clone, Default)]
pub struct FailPoint {
    armed: Option<Arc<Armed>>,
}

struct Armed {
    /// Which change, from 1 on.
    change: u64,
    is_before: bool,
    seen: AtomicU64,
}

impl FailPoint {
    pub fn none() -> Self {
        Self::default()
    }

    /// `before:3` dies before the third change is asked for, `after:3` once it was answered. `None` for other texts.
    pub fn parse(text: &str) -> Option<Self> {
        let (moment, change) = text.split_once(':')?;
        let is_before = match moment {
            "before" => true,
            "after" => false,
            _ => return None,
        };
        let change = change.parse().ok().filter(|change| *change > 0)?;
        Some(Self { armed: Some(Arc::new(Armed { change, is_before, seen: AtomicU64::new(0) })) })
    }

    pub(crate) fn before_change(&self) {
        let Some(armed) = &self.armed else { return };
        let change = armed.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if armed.is_before && change == armed.change {
            die();
        }
    }

    pub(crate) fn after_change(&self) {
        let Some(armed) = &self.armed else { return };
        if !armed.is_before && armed.seen.load(Ordering::Relaxed) == armed.change {
            die();
        }
    }
}

/// No destructor, no handler and no other thread has a say: it is the signal itself.
#[expect(unsafe_code, reason = "the standard library raises no signals")]
fn die() -> ! {
    // SAFETY: raising a signal touches no memory of ours, and this one does not come back.
    #[cfg(unix)]
    unsafe {
        libc::raise(libc::SIGKILL)
    };
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_moment_and_a_number_are_a_fail_point() {
        assert!(FailPoint::parse("before:1").is_some());
        assert!(FailPoint::parse("after:12").is_some());
        for text in ["", "before", "before:0", "during:1", "after:x"] {
            assert!(FailPoint::parse(text).is_none(), "{text}");
        }
    }
}
