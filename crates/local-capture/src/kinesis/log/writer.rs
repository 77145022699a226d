//! The one thread that changes the log. What waits for it becomes durable together: one sync serves many puts.

use std::sync::Arc;

use ambient::Ambient;
use aws_wire::AwsError;
use tokio::sync::{mpsc, oneshot};

use super::catalog::Draft;
use super::settle::Unsettled;
use super::throughput::Writes;
use super::{KinesisLogError, NewRecord, NotPut, Placed, Shared};
use crate::kinesis::internal_failure;

/// What is written at once: enough to make a sync worth it, and no answer waits long.
const BATCH_JOBS_MAX: usize = 128;
const BATCH_RECORDS_MAX: usize = 8_192;

pub(super) enum Job {
    Append(Append),
    Deliver(Deliver),
    Edit(Box<dyn FnOnce(&mut Draft) -> Finish + Send>),
    /// Comes again and again: a log to which nothing was put since the last one may tidy up.
    Settle,
}

pub(super) struct Append {
    pub stream: u64,
    pub records: Vec<NewRecord>,
    pub answer: oneshot::Sender<Vec<Result<Placed, NotPut>>>,
}

/// Records of the item engine's outbox, up to its row `drained`.
pub(super) struct Deliver {
    pub records: Vec<(u64, NewRecord)>,
    pub drained: i64,
    pub answer: oneshot::Sender<Result<(), KinesisLogError>>,
}

/// What is left to do of a job.
pub(super) enum Finish {
    /// It takes part in the batch, and is told how that went.
    Commit(Box<dyn FnOnce(Result<(), AwsError>) + Send>),
    /// It failed; what it did to the draft is undone.
    Cancel(Box<dyn FnOnce() + Send>),
}

impl Finish {
    pub(super) fn commit(finish: impl FnOnce(Result<(), AwsError>) + Send + 'static) -> Self {
        Self::Commit(Box::new(finish))
    }

    pub(super) fn cancel(finish: impl FnOnce() + Send + 'static) -> Self {
        Self::Cancel(Box::new(finish))
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    ambient: Ambient,
    throttles: bool,
    writes: Writes,
    unsettled: Unsettled,
}

/// Told of the batch's outcome, once it is known.
type Waiting = Box<dyn FnOnce(&Result<(), KinesisLogError>) + Send>;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, ambient: Ambient, throttles: bool) -> Self {
        Self { shared, ambient, throttles, writes: Writes::default(), unsettled: Unsettled::default() }
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            if matches!(first, Job::Settle) {
                self.unsettled.settle(&self.shared);
                continue;
            }
            let catalog = self.shared.catalog.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            let mut draft = Draft::of((*catalog).clone());
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                waiting.extend(self.take(job, &mut draft));
                let is_full = waiting.len() >= BATCH_JOBS_MAX || draft.records.len() >= BATCH_RECORDS_MAX;
                next = if is_full { None } else { jobs.try_recv().ok() };
            }
            self.unsettled.note(draft.records.iter().map(|record| record.value.len() as u64).sum());
            let outcome = if waiting.is_empty() { Ok(()) } else { self.commit(draft) };
            if let Err(error) = &outcome {
                tracing::error!(error = error as &dyn std::error::Error, "write the Kinesis log");
            }
            for told in waiting {
                told(&outcome);
            }
        }
    }

    fn take(&mut self, job: Job, draft: &mut Draft) -> Option<Waiting> {
        let now_ms = self.ambient.now_ms();
        match job {
            // It came between puts: nothing is quiet.
            Job::Settle => None,
            Job::Append(append) => Some(self.append(append, draft, now_ms)),
            Job::Deliver(deliver) => {
                for (stream, record) in deliver.records {
                    // A stream that was deleted takes no more; DynamoDB drops what it cannot deliver.
                    if let Some(shard) = draft.route(stream, record.hash_key) {
                        draft.append(stream, shard, record, now_ms);
                    }
                }
                draft.catalog.drained = deliver.drained;
                Some(Box::new(move |outcome| {
                    let _ = deliver
                        .answer
                        .send(outcome.as_ref().map_or_else(|_| Err(KinesisLogError::Closed), |()| Ok(())));
                }))
            }
            Job::Edit(change) => {
                let catalog = draft.catalog.clone();
                match change(draft) {
                    Finish::Commit(finish) => Some(Box::new(move |outcome| {
                        finish(outcome.as_ref().map_or_else(|error| Err(internal_failure(error)), |()| Ok(())));
                    })),
                    Finish::Cancel(finish) => {
                        draft.catalog = catalog;
                        finish();
                        None
                    }
                }
            }
        }
    }

    fn append(&mut self, append: Append, draft: &mut Draft, now_ms: i64) -> Waiting {
        let Append { stream, records, answer } = append;
        let is_provisioned = draft.catalog.streams.get(&stream).is_some_and(|stream| stream.mode.is_provisioned());
        let throttles = self.throttles && is_provisioned;
        let mut put = |record: NewRecord| {
            let shard = draft.route(stream, record.hash_key).ok_or(NotPut::NoStream)?;
            if throttles && !self.writes.admit((stream, shard), record.bytes, now_ms) {
                return Err(NotPut::Throttled { shard });
            }
            draft.append(stream, shard, record, now_ms).ok_or(NotPut::NoStream)
        };
        let placed: Vec<_> = records.into_iter().map(&mut put).collect();
        Box::new(move |outcome| {
            let placed = match outcome {
                Ok(()) => placed,
                Err(_) => placed.into_iter().map(|placed| placed.and(Err(NotPut::Failed))).collect(),
            };
            // Who has gone away meanwhile finds its records in the stream all the same.
            let _ = answer.send(placed);
        })
    }

    /// Makes the draft durable and then visible, or neither.
    fn commit(&self, draft: Draft) -> Result<(), KinesisLogError> {
        let outcome = match &*self.shared.store() {
            Some(store) => store.write(&draft),
            None => Err(KinesisLogError::Closed),
        };
        if let Err(error) = outcome {
            // A full disk may be the cause, and the store takes no more writes before it was opened again.
            self.shared.recover()?;
            return Err(error);
        }
        self.shared.publish(draft.catalog);
        Ok(())
    }
}
