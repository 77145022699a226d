//! What `/status` answers and `dynaberg status` prints: one struct for both.

use std::time::{Duration, SystemTime};

use local_delivery::FirehoseAccount;
use pipeline::State;
use serde::{Deserialize, Serialize};

use crate::wiring::Running;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusDocument {
    pub ready: bool,
    pub pipelines: Vec<PipelineDocument>,
    /// Of `dev`; `run` has none.
    #[serde(default)]
    pub delivery_streams: Vec<DeliveryStreamDocument>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PipelineDocument {
    pub name: String,
    pub source: String,
    pub table: String,
    /// `starting`, `running`, `waiting`, `backing_off` or `stopped`.
    pub state: String,
    pub ready: bool,
    /// Why it is not ready.
    pub not_ready: Option<String>,
    /// How far the table is behind the source, in seconds.
    pub lag_seconds: Option<f64>,
    /// Everything written to the source before this moment is in the table.
    pub complete_up_to: Option<String>,
    pub received: u64,
    pub upserted: u64,
    pub deleted: u64,
    pub superseded: u64,
    pub filtered: u64,
    pub rejected: u64,
    pub in_flight: u64,
    /// Dead letters that are held, and what became of others since the start.
    pub held: u64,
    /// Of those that are held: tried again by themselves in vain, and not any more.
    pub given_up: u64,
    pub redriven: u64,
    pub redrive_skipped: u64,
    pub purged: u64,
    pub commits: u64,
    /// Stretches of the stream that were lost before they could be read.
    pub gaps: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryStreamDocument {
    pub name: String,
    /// `iceberg` or `s3`.
    pub destination: String,
    /// `delivering`, `idle`, or `hindered` where a table takes no records.
    pub state: String,
    pub problem: Option<String>,
    pub received: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub failed: u64,
    pub buffered: u64,
    /// The age of the oldest record that is not delivered.
    pub oldest_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitDocument {
    pub done: bool,
    /// The pipelines, or the delivery stream, that are not there yet.
    pub waiting: Vec<String>,
    pub status: StatusDocument,
}

impl StatusDocument {
    pub fn new(
        pipelines: &[Running],
        delivery_streams: Vec<DeliveryStreamDocument>,
        now: SystemTime,
        ready_lag: Duration,
    ) -> Self {
        let pipelines: Vec<_> = pipelines.iter().map(|pipeline| describe(pipeline, now, ready_lag)).collect();
        Self { ready: pipelines.iter().all(|pipeline| pipeline.ready), pipelines, delivery_streams }
    }

    /// Why it is not ready, one sentence a pipeline.
    pub fn reasons(&self) -> Vec<String> {
        let reason = |pipeline: &PipelineDocument| Some(format!("{}: {}", pipeline.name, pipeline.not_ready.as_ref()?));
        self.pipelines.iter().filter_map(reason).collect()
    }
}

impl DeliveryStreamDocument {
    pub fn new(account: &FirehoseAccount, now_ms: i64) -> Self {
        let state = match (&account.problem, account.buffered) {
            (Some(_), _) => "hindered",
            (None, 0) => "idle",
            (None, _) => "delivering",
        };
        Self {
            name: account.name.clone(),
            destination: if account.is_iceberg { "iceberg" } else { "s3" }.to_owned(),
            state: state.to_owned(),
            problem: account.problem.clone(),
            received: account.received,
            delivered: account.delivered,
            dropped: account.dropped,
            failed: account.failed,
            buffered: account.buffered,
            oldest_seconds: account.oldest_ms.map(|oldest_ms| (now_ms - oldest_ms).max(0) as f64 / 1_000.0),
        }
    }
}

fn describe(pipeline: &Running, now: SystemTime, ready_lag: Duration) -> PipelineDocument {
    let account = pipeline.account();
    let lag = account.lag(now);
    let lags = lag.filter(|lag| *lag > ready_lag).map(|lag| format!("{:.1} s behind its source", lag.as_secs_f64()));
    let not_ready = pipeline.status.not_ready().or(lags);
    PipelineDocument {
        name: pipeline.name.clone(),
        source: pipeline.source.clone(),
        table: pipeline.table.clone(),
        state: state_name(&pipeline.status.state()).to_owned(),
        ready: not_ready.is_none(),
        not_ready,
        lag_seconds: lag.map(|lag| lag.as_secs_f64()),
        complete_up_to: account.complete_up_to.map(rfc3339),
        received: account.received,
        upserted: account.upserted,
        deleted: account.deleted,
        superseded: account.superseded,
        filtered: account.filtered,
        rejected: account.rejected,
        in_flight: account.in_flight,
        held: account.held,
        given_up: account.given_up,
        redriven: account.redriven,
        redrive_skipped: account.redrive_skipped,
        purged: account.purged,
        commits: account.commits,
        gaps: account.gaps,
    }
}

fn state_name(state: &State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Waiting { .. } => "waiting",
        State::BackingOff { .. } => "backing_off",
        State::Stopped { .. } => "stopped",
    }
}

fn rfc3339(moment: SystemTime) -> String {
    jiff::Timestamp::try_from(moment).map(|timestamp| format!("{timestamp:.3}")).unwrap_or_default()
}

/// The tables of `dynaberg status`.
impl std::fmt::Display for StatusDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pipelines.is_empty() && self.delivery_streams.is_empty() {
            return write!(f, "no pipelines\n  Try: dynaberg dev PIPELINE.toml");
        }
        if !self.pipelines.is_empty() {
            let header = ["pipeline", "table", "state", "fresh", "received", "upserted", "deleted", "held", "commits"];
            write_columns(f, header, self.pipelines.iter().map(row_of_pipeline))?;
        }
        if !self.delivery_streams.is_empty() {
            let header =
                ["delivery stream", "to", "state", "oldest", "received", "delivered", "dropped", "failed", "buffered"];
            write_columns(f, header, self.delivery_streams.iter().map(row_of_delivery_stream))?;
            for stream in &self.delivery_streams {
                if let Some(problem) = &stream.problem {
                    writeln!(f, "  {}: {problem}", stream.name)?;
                }
            }
        }
        match self.ready {
            true => write!(f, "✓ ready"),
            false => write!(f, "✗ not ready: {}", self.reasons().join("; ")),
        }
    }
}

const COLUMNS: usize = 9;

fn row_of_pipeline(pipeline: &PipelineDocument) -> [String; COLUMNS] {
    [
        pipeline.name.clone(),
        pipeline.table.clone(),
        pipeline.state.clone(),
        seconds(pipeline.lag_seconds),
        pipeline.received.to_string(),
        pipeline.upserted.to_string(),
        pipeline.deleted.to_string(),
        pipeline.held.to_string(),
        pipeline.commits.to_string(),
    ]
}

fn row_of_delivery_stream(stream: &DeliveryStreamDocument) -> [String; COLUMNS] {
    [
        stream.name.clone(),
        stream.destination.clone(),
        stream.state.clone(),
        seconds(stream.oldest_seconds),
        stream.received.to_string(),
        stream.delivered.to_string(),
        stream.dropped.to_string(),
        stream.failed.to_string(),
        stream.buffered.to_string(),
    ]
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or("–".to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// Each column as wide as its widest value.
fn write_columns(
    f: &mut std::fmt::Formatter<'_>,
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> std::fmt::Result {
    let rows: Vec<_> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
