//! Letters that are tried again without anybody asking: how often, and after which pauses.

use std::time::Duration;

use ambient::Ambient;

use crate::backoff::delay_after;
use crate::dead_letter::Held;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(6 * 3600);

/// `[dead_letters] redrive` and `redrive_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often each letter is tried.
    pub tries_max: u32,
    /// The longest pause before the first try. It doubles with each one.
    pub first_pause: Duration,
}

impl Retries {
    /// When letters are tried next that were tried `tries` times in vain, in milliseconds since the Unix epoch; `None`
    /// where they are given up.
    pub(crate) fn due_ms(&self, tries: u32, ambient: &Ambient) -> Option<i64> {
        let pause = delay_after(ambient, self.first_pause, PAUSE_MAX, tries);
        (tries < self.tries_max).then(|| ambient.now_ms() + pause.as_millis() as i64)
    }
}

/// Completes when held letters are to be tried again; never, where there are none. Cancel-safe.
pub(crate) async fn letters_due(held: &Held, ambient: &Ambient) {
    match held.next_due_ms() {
        Some(due_ms) => {
            let left_ms = (due_ms - ambient.now_ms()).max(0).unsigned_abs();
            tokio::time::sleep(Duration::from_millis(left_ms)).await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_with_the_last_try() {
        let retries = Retries { tries_max: 3, first_pause: Duration::from_secs(10) };
        let due = |tries| retries.due_ms(tries, &Ambient::fixed(0));
        for (tries, longest_ms) in [(0, 10_000), (1, 20_000), (2, 40_000)] {
            assert!(due(tries).is_some_and(|ms| (longest_ms / 2..=longest_ms).contains(&ms)), "{tries}");
        }
        assert_eq!(due(3), None);
    }
}
