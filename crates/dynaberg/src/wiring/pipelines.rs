//! Pipelines as declared, plugged onto their source, table and dead letters.

mod assembly;
mod letters;
mod parts;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pipeline::{Account, Accounts, Desk, Patience, StartPosition, Status, Tap, supervise};
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile};
use crate::failure::{Exit, Failure, Outcome};
use assembly::Assembly;
pub use assembly::SAMPLE_ITEMS;
pub use letters::HeldLetters;
pub(in crate::wiring) use parts::function_of;
pub use parts::target_of;
pub(super) use parts::{by_exit, lake_error};

/// A pipeline that was launched. Cheap to clone.
#[derive(Clone)]
pub struct Running {
    pub name: String,
    /// The DynamoDB table.
    pub source: String,
    /// `namespace.table`.
    pub table: String,
    pub status: Arc<Status>,
    /// Where it is asked to look after its held letters.
    pub desk: Arc<Desk>,
    ended: CancellationToken,
    error: Arc<Mutex<Option<pipeline::Error>>>,
}

/// Starts a pipeline on a task of its own. It runs until `shutdown`, or until a person must see to it.
pub fn launch(
    file: PipelineFile,
    catalog: Option<Catalog>,
    aws: &Aws,
    index_dir: PathBuf,
    patience: Patience,
    shutdown: CancellationToken,
) -> Running {
    let running = Running {
        name: file.name.clone(),
        source: file.source_table.clone(),
        table: file.target.to_string(),
        status: Arc::default(),
        desk: Arc::default(),
        ended: CancellationToken::new(),
        error: Arc::default(),
    };
    let assembly =
        Arc::new(Assembly::new(file, catalog, aws, index_dir, running.status.accounts(), running.desk.clone()));
    let ambient = aws.ambient();
    let task = running.clone();
    tokio::spawn(async move {
        let open = || {
            let assembly = assembly.clone();
            async move { assembly.open().await }
        };
        let ended = supervise(&task.name, open, patience, &ambient, &shutdown, &task.status).await;
        *task.error.lock().expect("no holder panics") = ended.err();
        task.ended.cancel();
    });
    running
}

/// Feeds files through a pipeline, once, and gives what became of their records.
pub async fn replay(
    file: PipelineFile,
    catalog: Option<Catalog>,
    aws: &Aws,
    index_dir: PathBuf,
    files: Vec<PathBuf>,
    shutdown: CancellationToken,
) -> Outcome<Account> {
    let accounts = Arc::new(Accounts::default());
    let assembly = Assembly::new(file, catalog, aws, index_dir, accounts.clone(), Arc::default());
    assembly.open_replay(files).await?.run(&shutdown).await?;
    Ok(accounts.snapshot())
}

/// Sets the checkpoint of a pipeline's table back to a moment, in milliseconds since the Unix epoch.
pub async fn rewind(
    file: PipelineFile,
    catalog: Option<Catalog>,
    aws: &Aws,
    index_dir: PathBuf,
    to_ms: i64,
) -> Outcome {
    let accounts = Arc::new(Accounts::default());
    Ok(Assembly::new(file, catalog, aws, index_dir, accounts, Arc::default()).rewind(to_ms).await?)
}

/// Looks at the records of a pipeline's stream from `start` on, beside whoever runs it.
pub async fn tap(file: PipelineFile, catalog: Option<Catalog>, aws: &Aws, start: StartPosition) -> Outcome<Tap> {
    if file.lambda.is_some() {
        let message =
            format!("pipeline {} has a function, which a tap would call once more for every record", file.name);
        return Err(Failure::new(Exit::Usage, message).advise("dynaberg sql, for the rows that it made"));
    }
    let file = PipelineFile { start, ..file };
    let accounts = Arc::new(Accounts::default());
    Ok(Assembly::new(file, catalog, aws, PathBuf::new(), accounts, Arc::default()).open_tap().await?)
}

impl Running {
    pub fn account(&self) -> Account {
        self.status.accounts().snapshot()
    }

    /// Whether everything written to the source before `moment` is committed.
    pub fn is_complete_up_to(&self, moment: SystemTime) -> bool {
        self.account().complete_up_to.is_some_and(|complete| complete >= moment)
    }

    /// Waits until everything written to the source before `moment` is committed. Cancel-safe.
    pub async fn complete_up_to(&self, moment: SystemTime) {
        while !self.is_complete_up_to(moment) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether it runs no more.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until it runs no more.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for its end, and gives the reason where that was not `shutdown`.
    pub async fn outcome(&self) -> Outcome {
        self.ended().await;
        let error = self.error.lock().expect("no holder panics").take();
        error.map_or(Ok(()), |error| Err(error.into()))
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(10);
