//! The numbers an operator watches, through the `metrics` facade. Whoever runs pipelines installs the recorder.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::accounting::Account;

/// Age of the newest moment up to which everything written to the source is in the table.
pub const FRESHNESS_SECONDS: &str = "dynaberg_freshness_seconds";
/// Records by what became of them: `upserted`, `deleted`, `superseded`, `filtered`, `dead_letter`.
pub const ROWS_TOTAL: &str = "dynaberg_rows_total";
pub const RECEIVED_TOTAL: &str = "dynaberg_received_total";
pub const COMMITS_TOTAL: &str = "dynaberg_commits_total";
pub const COMMIT_SECONDS: &str = "dynaberg_commit_seconds";
/// Records read and not yet committed.
pub const IN_FLIGHT: &str = "dynaberg_in_flight_records";
/// Stretches of the stream that were lost before we could read them.
pub const GAPS: &str = "dynaberg_gaps";
/// Dead letters that are held.
pub const HELD: &str = "dynaberg_held_letters";
/// Dead letters that are held, were tried again by themselves in vain, and are not any more.
pub const GIVEN_UP: &str = "dynaberg_given_up_letters";
/// Dead letters by what became of them: `redriven`, `skipped`, `purged`.
pub const LETTERS_TOTAL: &str = "dynaberg_letters_total";
pub const RESTARTS_TOTAL: &str = "dynaberg_restarts_total";

/// Sets the metrics of `table` to what its account says `now`. Called before the metrics are shown.
pub fn publish(table: &str, account: &Account, now: SystemTime) {
    let label = [("table", table.to_owned())];
    let results = [
        ("upserted", account.upserted),
        ("deleted", account.deleted),
        ("superseded", account.superseded),
        ("filtered", account.filtered),
        ("dead_letter", account.rejected),
    ];
    for (result, rows) in results {
        metrics::counter!(ROWS_TOTAL, "table" => table.to_owned(), "result" => result).absolute(rows);
    }
    metrics::counter!(RECEIVED_TOTAL, &label).absolute(account.received);
    metrics::counter!(COMMITS_TOTAL, &label).absolute(account.commits);
    metrics::gauge!(IN_FLIGHT, &label).set(account.in_flight as f64);
    metrics::gauge!(HELD, &label).set(account.held as f64);
    metrics::gauge!(GIVEN_UP, &label).set(account.given_up as f64);
    let outcomes = [("redriven", account.redriven), ("skipped", account.redrive_skipped), ("purged", account.purged)];
    for (outcome, letters) in outcomes {
        metrics::counter!(LETTERS_TOTAL, "table" => table.to_owned(), "result" => outcome).absolute(letters);
    }
    metrics::gauge!(GAPS, &label).set(account.gaps as f64);
    if let Some(lag) = account.lag(now) {
        metrics::gauge!(FRESHNESS_SECONDS, &label).set(lag.as_secs_f64());
    }
}

/// Times a commit, if it succeeds.
pub(crate) struct CommitTimer {
    table: String,
    started: Instant,
}

impl CommitTimer {
    pub fn start(table: &str) -> Self {
        Self { table: table.to_owned(), started: Instant::now() }
    }

    pub fn stop(self) {
        metrics::histogram!(COMMIT_SECONDS, "table" => self.table).record(self.started.elapsed());
    }
}
