//! What `/status` answers and `dynaberg status` prints: one struct for both.

use std::time::{Duration, SystemTime};

use pipeline::State;
use serde::{Deserialize, Serialize};

use crate::wiring::Running;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusDocument {
    pub ready: bool,
    pub pipelines: Vec<PipelineDocument>,
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
pub struct WaitDocument {
    pub done: bool,
    /// The pipelines that are not there yet.
    pub waiting: Vec<String>,
    pub status: StatusDocument,
}

impl StatusDocument {
    pub fn new(pipelines: &[Running], now: SystemTime, ready_lag: Duration) -> Self {
        let pipelines: Vec<_> = pipelines.iter().map(|pipeline| describe(pipeline, now, ready_lag)).collect();
        Self { ready: pipelines.iter().all(|pipeline| pipeline.ready), pipelines }
    }

    /// Why it is not ready, one sentence a pipeline.
    pub fn reasons(&self) -> Vec<String> {
        let reason = |pipeline: &PipelineDocument| Some(format!("{}: {}", pipeline.name, pipeline.not_ready.as_ref()?));
        self.pipelines.iter().filter_map(reason).collect()
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

/// The table of `dynaberg status`.
impl std::fmt::Display for StatusDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pipelines.is_empty() {
            return write!(f, "no pipelines\n  Try: dynaberg dev PIPELINE.toml");
        }
        let header = ["pipeline", "table", "state", "fresh", "received", "upserted", "deleted", "held", "commits"];
        let mut rows = vec![header.map(str::to_owned)];
        for pipeline in &self.pipelines {
            rows.push([
                pipeline.name.clone(),
                pipeline.table.clone(),
                pipeline.state.clone(),
                pipeline.lag_seconds.map_or("–".to_owned(), |lag| format!("{lag:.1} s")),
                pipeline.received.to_string(),
                pipeline.upserted.to_string(),
                pipeline.deleted.to_string(),
                pipeline.held.to_string(),
                pipeline.commits.to_string(),
            ]);
        }
        let widths: [usize; 9] =
            std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        match self.ready {
            true => write!(f, "✓ ready"),
            false => write!(f, "✗ not ready: {}", self.reasons().join("; ")),
        }
    }
}
