//! A service's SQLite file, and the one thread that works on it.
//!
//! Calls that come while a transaction is written to the disk wait together and share the next one, so that a `fsync`
//! serves many of them. An answer goes out once its transaction is durable.

use std::marker::PhantomData;
use std::path::Path;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Why work on the file came to nothing, beside what the work says itself.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailure {
    #[error("make a change durable: {0}")]
    NotDurable(String),
    #[error("the store is closed")]
    Closed,
}

/// Calls that wait for the thread; more wait to be taken in.
const WAITING_MAX: usize = 1_024;

/// Calls that share a transaction.
const SHARING_MAX: usize = 256;

/// The file, for whoever has work to do on it, which may fail with an `E`. Cheap to clone.
pub(crate) struct Store<E> {
    jobs: mpsc::Sender<Job>,
    error: PhantomData<fn() -> E>,
}

impl<E> Clone for Store<E> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), error: PhantomData }
    }
}

/// Does its work within the transaction, if one began, and gives what to do once that is durable or has failed.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Option<&rusqlite::Error>)>;

impl<E: From<rusqlite::Error> + From<StoreFailure> + Send + 'static> Store<E> {
    /// Opens the file for the thread `name`. `steps` lead from each layout to the next; `PRAGMA user_version` counts those
    /// that the file has taken.
    pub fn open(path: &Path, name: &str, steps: &[&str]) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        let taken: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for (number, step) in steps.iter().enumerate().skip(taken) {
            connection.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {}; COMMIT;", number + 1))?;
        }
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&connection, waiting))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { jobs, error: PhantomData })
    }

    /// Does `work`, all of it or, where it fails, nothing. What it wrote is durable when this returns.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = connection.map(|connection| in_savepoint(connection, work));
            Box::new(move |failure| {
                let outcome = match failure {
                    None => outcome.expect("only what began is durable"),
                    Some(error) => Err(StoreFailure::NotDurable(error.to_string()).into()),
                };
                // Whoever asked may have gone.
                reply.send(outcome).ok();
            })
        });
        self.jobs.send(job).await.map_err(|_| StoreFailure::Closed)?;
        answer.await.map_err(|_| StoreFailure::Closed)?
    }
}

/// Runs until nobody holds the store any more.
fn work(connection: &Connection, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut durable = connection.execute_batch("BEGIN IMMEDIATE");
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            answers.push(job(durable.is_ok().then_some(connection)));
            next = if answers.len() < SHARING_MAX { waiting.try_recv().ok() } else { None };
        }
        if durable.is_ok() {
            durable = connection.execute_batch("COMMIT");
        }
        if durable.is_err() && !connection.is_autocommit() {
            // A transaction that cannot be undone either fails the next `BEGIN`, and so all that follow.
            connection.execute_batch("ROLLBACK").ok();
        }
        for answer in answers {
            answer(durable.as_ref().err());
        }
    }
}

fn in_savepoint<T, E: From<rusqlite::Error>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let outcome = work(connection);
    if outcome.is_err() {
        connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    connection.prepare_cached("RELEASE job")?.execute([])?;
    outcome
}
