//! Keeps a pipeline running: the one place that decides what an error means.

use std::future::Future;
use std::time::Duration;

use ambient::Ambient;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::Pipeline;
use crate::status::{State, Status};

const RESTART_FIRST: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// How soon something that is not there is looked for again.
const WAIT_FIRST: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What a pipeline does about a declaration that does not fit the world (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Waits and looks again: a source or table may be made at any time.
    Wait,
    /// Gives the error back.
    Stop,
}

/// Runs what `open` gives, with the accounts of `status`, and opens it anew after every failure that a restart may cure.
/// Returns at `shutdown`, or when a person or another writer has to act: the error says why.
pub async fn supervise<Open, Opening>(
    name: &str,
    mut open: Open,
    patience: Patience,
    ambient: &Ambient,
    shutdown: &CancellationToken,
    status: &Status,
) -> Result<()>
where
    Open: FnMut() -> Opening,
    Opening: Future<Output = Result<Pipeline>>,
{
    let accounts = status.accounts();
    let mut restarts = Backoff::new(ambient.clone(), RESTART_FIRST, RESTART_MAX);
    let mut waits = Backoff::new(ambient.clone(), WAIT_FIRST, WAIT_MAX);
    loop {
        let before = accounts.snapshot();
        let outcome = run(&mut open, status, shutdown).await;
        accounts.drop_in_flight();
        let now = accounts.snapshot();
        if (now.commits, now.complete_up_to) > (before.commits, before.complete_up_to) {
            restarts.succeed();
            waits.succeed();
        }
        let failure = match outcome {
            Ok(()) if shutdown.is_cancelled() => {
                status.set(State::Stopped { reason: "asked to".into() });
                return Ok(());
            }
            Ok(()) => Error::new(ErrorKind::Misconfigured, "the source has ended. Try: enable the table's stream"),
            Err(failure) => failure,
        };
        accounts.update(|account| account.failures += 1);
        let delay = match (failure.kind(), patience) {
            (ErrorKind::Transient | ErrorKind::Unexpected, _) => {
                let delay = restarts.fail();
                warn!(code = "DYN801", pipeline = name, error = failure.report(), ?delay, "restarting");
                accounts.update(|account| account.restarts += 1);
                status.set(State::BackingOff { error: failure.report(), until: ambient.now() + delay });
                delay
            }
            (ErrorKind::Misconfigured | ErrorKind::Trimmed, Patience::Wait) => {
                info!(code = "DYN802", pipeline = name, reason = failure.report(), "waiting");
                status.set(State::Waiting { reason: failure.report() });
                waits.fail()
            }
            (ErrorKind::Misconfigured | ErrorKind::Trimmed, Patience::Stop) | (ErrorKind::Fenced, _) => {
                error!(code = "DYN803", pipeline = name, error = failure.report(), "stopped");
                status.set(State::Stopped { reason: failure.report() });
                return Err(failure);
            }
        };
        // Either is fine: the time has come, or there is nothing to wait for any more.
        let _ = tokio::time::timeout(delay, shutdown.cancelled()).await;
    }
}

/// One life of the pipeline.
async fn run<Open, Opening>(open: &mut Open, status: &Status, shutdown: &CancellationToken) -> Result<()>
where
    Open: FnMut() -> Opening,
    Opening: Future<Output = Result<Pipeline>>,
{
    if !status.is_waiting() {
        status.set(State::Starting);
    }
    let Some(pipeline) = shutdown.run_until_cancelled(open()).await else { return Ok(()) };
    let pipeline = pipeline?;
    status.set(State::Running);
    pipeline.run(shutdown).await
}
