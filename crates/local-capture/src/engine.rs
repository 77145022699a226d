//! The item engine in process: DynamoDB's items, indexes, expressions and transactions on one SQLite file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use dynoxide::{Database, DynoxideError};
use tokio::sync::{mpsc, oneshot};

use crate::CaptureError;

/// An expression or statement of legal length can nest a parenthesis per character, and the engine recurses with it: an
/// overflow aborts the process. In a release build 16 MiB are enough, an unoptimised one takes more. Only what is used
/// of it becomes memory.
const STACK_BYTES: usize = 128 << 20;
/// Calls serialise on the engine's own mutex; the others parse and serialise meanwhile.
const THREADS: usize = 3;
const WAITING_JOBS_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

/// Threads with stacks large enough for the engine. They end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct EngineThreads {
    jobs: mpsc::Sender<Job>,
}

impl EngineThreads {
    pub(crate) fn start() -> Result<Self, CaptureError> {
        let (jobs, receiver) = mpsc::channel::<Job>(WAITING_JOBS_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..THREADS {
            let receiver = receiver.clone();
            std::thread::Builder::new()
                .name("dynamodb-engine".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || work(&receiver))
                .map_err(|source| CaptureError::Io { doing: "start the engine's threads".to_owned(), source })?;
        }
        Ok(Self { jobs })
    }
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        job();
    }
}

/// The engine over one file. A panic inside it poisons its mutex for ever, so the file is opened anew after one.
pub(crate) struct Engine {
    file: PathBuf,
    threads: EngineThreads,
    database: RwLock<Database>,
}

impl Engine {
    pub(crate) fn open(file: &Path, threads: EngineThreads) -> Result<Self, CaptureError> {
        let database = open_database(file).map_err(|error| CaptureError::of_engine(file, &error))?;
        Ok(Self { file: file.to_owned(), threads, database: RwLock::new(database) })
    }

    /// Runs `call` on one of the engine's threads.
    pub(crate) async fn run<T: Send + 'static>(
        self: Arc<Self>,
        call: impl FnOnce(&Database) -> Result<T, DynoxideError> + Send + 'static,
    ) -> Result<T, DynoxideError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.threads.jobs.clone();
        let job: Job = Box::new(move || {
            let outcome = self.call(call);
            // Nothing of the engine may outlive the answer: the caller may close the data folder next.
            drop(self);
            // The caller may have gone away; the write is done all the same.
            let _ = answer.send(outcome);
        });
        jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn call<T>(&self, call: impl FnOnce(&Database) -> Result<T, DynoxideError>) -> Result<T, DynoxideError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(&database)));
        drop(database);
        outcome.unwrap_or_else(|_| {
            self.reopen()?;
            Err(DynoxideError::InternalServerError("the item engine failed on this request".to_owned()))
        })
    }

    fn reopen(&self) -> Result<(), DynoxideError> {
        tracing::error!(file = %self.file.display(), "the item engine panicked, opening its file again");
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = open_database(&self.file)?;
        Ok(())
    }
}

fn open_database(file: &Path) -> Result<Database, DynoxideError> {
    let Some(path) = file.to_str() else {
        return Err(DynoxideError::InternalServerError(format!("path {} is not UTF-8", file.display())));
    };
    Database::new(path)
}

fn stopped() -> DynoxideError {
    DynoxideError::InternalServerError("the item engine has stopped".to_owned())
}
