//! Pipelines as declared, plugged onto their source, table and dead letters.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pipeline::{
    Account, Accounts, AwsStreamApi, DeadLetterQueue, DynamoDbStreamsSource, NoDeadLetters, ObjectStoreDeadLetters,
    Patience, Pipeline, ReplaySource, Source, Status, Target, supervise,
};
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile};
use crate::failure::Outcome;

/// A pipeline that was launched. Cheap to clone.
#[derive(Clone)]
pub struct Running {
    pub name: String,
    pub source: String,
    /// `namespace.table`.
    pub table: String,
    status: Arc<Status>,
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
        status: Arc::new(Status::default()),
        ended: CancellationToken::new(),
        error: Arc::default(),
    };
    let assembly = Assembly { catalog: file.catalog.clone().or(catalog), file, aws: aws.clone(), index_dir };
    let task = running.clone();
    tokio::spawn(async move {
        let accounts = task.status.accounts();
        let open = || assembly.open(accounts.clone());
        let ended = supervise(&task.name, open, patience, &shutdown, &task.status).await;
        *task.error.lock().expect("no holder panics") = ended.err();
        task.ended.cancel();
    });
    running
}
