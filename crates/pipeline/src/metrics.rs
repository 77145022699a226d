//! The numbers an operator watches, through the `metrics` facade. Whoever runs pipelines installs the recorder.
//!
//! Each has the labels `pipeline` and `table`.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::accounting::Account;
use crate::status::State;

/// 1 while the pipeline reads and commits; 0 while it starts, waits, backs off or has stopped.
pub const RUNNING: &str = "dynaberg_pipeline_running";
/// Age of the newest moment up to which everything written to the source is in the table.
pub const FRESHNESS_SECONDS: &str = "dynaberg_freshness_seconds";
/// How old the oldest change may be that is not in the table. Also known while a restarted pipeline catches up.
pub const ITERATOR_AGE_SECONDS: &str = "dynaberg_iterator_age_seconds";
/// How long it takes until the stream may drop a change that is not in the table: its retention less that age.
pub const RETENTION_HEADROOM_SECONDS: &str = "dynaberg_retention_headroom_seconds";
/// Calls of the stream that were throttled, beyond what the SDK tries again by itself.
pub const THROTTLED_TOTAL: &str = "dynaberg_throttled_total";
/// Records by what became of them: `upserted`, `deleted`, `superseded`, `filtered`, `dead_letter`.
pub const ROWS_TOTAL: &str = "dynaberg_rows_total";
pub const RECEIVED_TOTAL: &str = "dynaberg_received_total";
pub const COMMITS_TOTAL: &str = "dynaberg_commits_total";
pub const COMMIT_SECONDS: &str = "dynaberg_commit_seconds";
/// Commits to the table that failed after all their tries. The pipeline restarts and commits again.
pub const COMMIT_FAILURES_TOTAL: &str = "dynaberg_commit_failures_total";
/// Records read and not yet committed.
pub const IN_FLIGHT: &str = "dynaberg_in_flight_records";
/// Stretches of the stream that were lost before we could read them.
pub const GAPS: &str = "dynaberg_gaps";
/// Dead letters that are held.
pub const HELD: &str = "dynaberg_held_letters";
/// Age of the oldest of them, by the hour in which it was rejected; 0 where none is held.
pub const HELD_AGE_SECONDS: &str = "dynaberg_held_letters_age_seconds";
/// Dead letters that are held, were tried again by themselves in vain, and are not any more.
pub const GIVEN_UP: &str = "dynaberg_given_up_letters";
/// Dead letters by what became of them: `redriven`, `skipped`, `purged`.
pub const LETTERS_TOTAL: &str = "dynaberg_letters_total";
/// Runs of the pipeline that ended with an error, whatever it was: reading, transforming, dead letters, committing.
pub const DELIVERY_FAILURES_TOTAL: &str = "dynaberg_delivery_failures_total";
/// Those after which it was started again without anybody's help.
pub const RESTARTS_TOTAL: &str = "dynaberg_restarts_total";

/// Sets the metrics of a pipeline to what its account says `now`. Called before the metrics are shown.
pub fn publish(pipeline: &str, table: &str, state: &State, account: &Account, now: SystemTime) {
    let labels = [("pipeline", pipeline.to_owned()), ("table", table.to_owned())];
    let by_result = |result: &'static str| {
        let [pipeline, table] = labels.clone();
        [pipeline, table, ("result", result.to_owned())]
    };
    let rows = [
        ("upserted", account.upserted),
        ("deleted", account.deleted),
        ("superseded", account.superseded),
        ("filtered", account.filtered),
        ("dead_letter", account.rejected),
    ];
    for (result, rows) in rows {
        metrics::counter!(ROWS_TOTAL, &by_result(result)).absolute(rows);
    }
    let letters = [("redriven", account.redriven), ("skipped", account.redrive_skipped), ("purged", account.purged)];
    for (result, letters) in letters {
        metrics::counter!(LETTERS_TOTAL, &by_result(result)).absolute(letters);
    }
    let counters = [
        (RECEIVED_TOTAL, account.received),
        (COMMITS_TOTAL, account.commits),
        (COMMIT_FAILURES_TOTAL, account.commit_failures),
        (DELIVERY_FAILURES_TOTAL, account.failures),
        (RESTARTS_TOTAL, account.restarts),
        (THROTTLED_TOTAL, account.throttled),
    ];
    for (name, count) in counters {
        metrics::counter!(name, &labels).absolute(count);
    }
    let seconds = |age: Option<std::time::Duration>| age.map(|age| age.as_secs_f64());
    let gauges = [
        (RUNNING, Some(f64::from(u8::from(*state == State::Running)))),
        (IN_FLIGHT, Some(account.in_flight as f64)),
        (HELD, Some(account.held as f64)),
        (HELD_AGE_SECONDS, Some(account.held_age(now).as_secs_f64())),
        (GIVEN_UP, Some(account.given_up as f64)),
        (GAPS, Some(account.gaps as f64)),
        (FRESHNESS_SECONDS, seconds(account.lag(now))),
        (ITERATOR_AGE_SECONDS, seconds(account.iterator_age(now))),
        (RETENTION_HEADROOM_SECONDS, account.headroom_seconds(now)),
    ];
    for (name, value) in gauges {
        if let Some(value) = value {
            metrics::gauge!(name, &labels).set(value);
        }
    }
}

/// Times a commit, if it succeeds.
pub(crate) struct CommitTimer {
    labels: [(&'static str, String); 2],
    started: Instant,
}

impl CommitTimer {
    pub fn start(pipeline: &str, table: &str) -> Self {
        let labels = [("pipeline", pipeline.to_owned()), ("table", table.to_owned())];
        Self { labels, started: Instant::now() }
    }

    pub fn stop(self) {
        metrics::histogram!(COMMIT_SECONDS, &self.labels).record(self.started.elapsed());
    }
}
