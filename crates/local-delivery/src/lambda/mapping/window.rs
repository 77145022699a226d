//! Tumbling windows: what a function adds up over a stretch of time goes from one invocation to the next.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::record::{StreamRecord, event};

/// A window whose state is longer ends early.
const STATE_BYTES_MAX: usize = 1 << 20;
/// How long after its end a window is closed where its shard has nothing new. Lambda waits for up to two minutes.
const GRACE_MS: i64 = 1000;

/// A window as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptWindow {
    pub start_s: i64,
    pub state: Map<String, Value>,
}

/// The window that a shard is in.
#[derive(Debug)]
pub(super) struct Window {
    start_s: i64,
    seconds: i64,
    /// What the function answered last.
    state: Mutex<Map<String, Value>>,
}

/// Why a window has its last invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Over,
    /// Its state is too long.
    Early,
}

impl Window {
    /// The one that a record of this moment belongs to. Windows follow one another since the epoch.
    pub(super) fn around(created_s: f64, seconds: u32) -> Self {
        let seconds = i64::from(seconds);
        let start_s = (created_s.floor() as i64).div_euclid(seconds) * seconds;
        Self { start_s, seconds, state: Mutex::default() }
    }

    pub(super) fn resumed(kept: KeptWindow, seconds: u32) -> Self {
        Self { start_s: kept.start_s, seconds: seconds.into(), state: Mutex::new(kept.state) }
    }

    pub(super) fn kept(&self) -> KeptWindow {
        KeptWindow { start_s: self.start_s, state: self.state().clone() }
    }

    /// Whether a record of this moment comes before its end. One that comes late counts to it, too.
    pub(super) fn takes(&self, created_s: f64) -> bool {
        created_s < (self.start_s + self.seconds) as f64
    }

    /// Whether no more records of it can come, as there were none at `ms`.
    pub(super) fn is_over(&self, ms: i64) -> bool {
        ms >= (self.start_s + self.seconds) * 1000 + GRACE_MS
    }

    pub(super) fn is_too_long(&self) -> bool {
        serde_json::to_string(&*self.state()).map_or(0, |text| text.len()) > STATE_BYTES_MAX
    }

    /// The event that hands records over, and the state with them.
    pub(super) fn event(
        &self,
        records: &[StreamRecord],
        shard: &str,
        stream_arn: &str,
        closing: Option<Closing>,
    ) -> String {
        let time = |seconds| jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
        let rest = json!({
            "window": { "start": time(self.start_s), "end": time(self.start_s + self.seconds) },
            "state": *self.state(),
            "shardId": shard,
            "eventSourceARN": stream_arn,
            "isFinalInvokeForWindow": closing.is_some(),
            "isWindowTerminatedEarly": closing == Some(Closing::Early),
        });
        let (records, rest) = (event(records.iter()), rest.to_string());
        format!("{},{}", records.trim_end_matches('}'), rest.trim_start_matches('{'))
    }

    /// Takes the state out of a function's answer; `false` where there is none, which counts as a failure.
    pub(super) fn adopt(&self, answer: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Answer {
            state: Map<String, Value>,
        }
        match serde_json::from_slice::<Answer>(answer) {
            Ok(answer) => {
                *self.state() = answer.state;
                true
            }
            Err(_) => false,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Map<String, Value>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_one_another_since_the_epoch() {
        let window = Window::around(125.9, 60);
        assert_eq!(window.kept().start_s, 120);
        assert!(window.takes(179.999) && window.takes(100.0) && !window.takes(180.0));
        assert!(!window.is_over(180_000) && window.is_over(181_000));
    }

    #[test]
    fn a_state_goes_from_an_answer_into_the_next_event() {
        let window = Window::around(0.0, 60);
        assert!(!window.adopt(b"{}") && !window.adopt(b"null") && !window.adopt(br#"{"state": 1}"#));
        assert!(window.adopt(br#"{"state": {"sum": 7}, "batchItemFailures": []}"#));
        let event: Value = serde_json::from_str(&window.event(&[], "s-1", "arn:x", Some(Closing::Over))).unwrap();
        let expected = json!({
            "Records": [],
            "window": { "start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:01:00Z" },
            "state": { "sum": 7 },
            "shardId": "s-1",
            "eventSourceARN": "arn:x",
            "isFinalInvokeForWindow": true,
            "isWindowTerminatedEarly": false,
        });
        assert_eq!(event, expected);
        assert_eq!(Window::resumed(window.kept(), 60).kept(), window.kept());
    }
}
