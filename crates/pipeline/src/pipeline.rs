//! The loop that everything else serves: poll, decode, transform, commit.

mod idle;
mod letters;
mod resume;
mod retry;

use std::sync::Arc;

use ambient::Ambient;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::accounting::Accounts;
use crate::batch::{Batch, Delivery};
use crate::compute::compute;
use crate::dead_letter::{DeadLetterQueue, Desk, Guard, Retries, letters_due};
use crate::error::{Error, ErrorKind, Result};
use crate::intake::Intake;
use crate::lambda::{Handed, LambdaTransform};
use crate::order::{Order, Ordered};
use crate::pipeline::idle::HEARTBEAT;
use crate::sink::{Commit, Sink};
use crate::source::{Polled, Source};
use crate::sql::SqlTransform;
use crate::transform::transform;

/// A change stream kept applied to one table.
pub struct Pipeline {
    pub source: Box<dyn Source>,
    /// For a source whose records may come twice or out of order, or one that takes over from another.
    pub order: Option<Order>,
    /// Without one every attribute goes to its own column.
    pub sql: Option<Arc<SqlTransform>>,
    /// A function that records pass through first.
    pub lambda: Option<LambdaTransform>,
    pub sink: Box<dyn Sink>,
    pub dead_letters: Box<dyn DeadLetterQueue>,
    /// Where it is asked to look after held letters.
    pub desk: Arc<Desk>,
    /// Where held letters are tried again by themselves.
    pub retries: Option<Retries>,
    pub delivery: Delivery,
    pub accounts: Arc<Accounts>,
    pub ambient: Ambient,
}

impl Pipeline {
    /// Runs until `shutdown`, until a source that has an end reaches it, or until it cannot go on.
    ///
    /// On an error nothing is repaired in place: what was not committed is dropped, and the next run reads it again
    /// from the table's checkpoint.
    pub async fn run(mut self, shutdown: &CancellationToken) -> Result<()> {
        let Some(checkpoint) = shutdown.run_until_cancelled(self.resume()).await else { return Ok(()) };
        let (from, to) = checkpoint?;
        let mut guard = Guard::load(&from.held, self.dead_letters.as_mut()).await?;
        let mut batch = Batch::after(from);
        batch.to = to;
        self.announce(&mut batch.to).await?;
        self.adopt_transform(&mut batch.to);
        let mut intake = self.intake()?;
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = batch.is_due(&self.delivery) => batch = self.commit(batch, &mut intake, &mut guard).await?,
                request = self.desk.next() => {
                    batch = self.commit(batch, &mut intake, &mut guard).await?;
                    batch = self.serve(request, batch, &mut intake, &mut guard).await?;
                }
                () = letters_due(&batch.to.held, &self.ambient) => {
                    batch = self.commit(batch, &mut intake, &mut guard).await?;
                    batch = self.retry(batch, &mut intake, &mut guard).await?;
                }
                _ = heartbeat.tick(), if batch.is_empty() => self.look_after(&batch, &mut intake).await?,
                polled = self.source.poll() => {
                    let Some(polled) = polled? else { break };
                    self.receive(polled, shutdown, &mut intake, &mut batch).await?;
                    if batch.is_full(&self.delivery) {
                        batch = self.commit(batch, &mut intake, &mut guard).await?;
                    }
                }
            }
        }
        self.commit(batch, &mut intake, &mut guard).await?;
        Ok(())
    }

    /// What another writer won is not a failure of the commit.
    fn count_failure(&self, error: &Error) {
        if error.kind() != ErrorKind::Fenced {
            self.accounts.update(|account| account.commit_failures += 1);
        }
    }

    /// For the table as its columns are now.
    fn intake(&self) -> Result<Intake> {
        Intake::new(self.sql.as_ref(), self.sink.shape())
    }

    /// Decodes and transforms what was polled into `batch`. Columns for new attributes are added to the table first.
    async fn receive(
        &mut self,
        polled: Polled,
        shutdown: &CancellationToken,
        intake: &mut Intake,
        batch: &mut Batch,
    ) -> Result<()> {
        let ordered = match &mut self.order {
            Some(order) => compute(|| order.admit(&polled.records)),
            None => Ordered::default(),
        };
        let records = ordered.admitted.as_deref().unwrap_or(&polled.records);
        let handed = match &self.lambda {
            None => Handed::untouched(records),
            // A function may take minutes. What it has not answered by then is read again by the next run.
            Some(lambda) => match shutdown.run_until_cancelled(lambda.apply(records)).await {
                Some(handed) => handed?,
                None => return Ok(()),
            },
        };
        let mut decoded = compute(|| handed.decode(intake));
        if !decoded.new_columns.is_empty() {
            self.sink.add_columns(&decoded.new_columns).await?;
            info!(columns = decoded.new_columns.len(), "added columns");
            *intake = self.intake()?;
            decoded = compute(|| handed.decode(intake));
        }
        let received = polled.records.len() as u64;
        batch.superseded += ordered.superseded;
        batch.filtered += ordered.filtered;
        batch.push(polled, ordered.admitted.as_deref(), decoded);

        let caught_up = batch.complete_up_to.filter(|_| batch.is_empty());
        self.accounts.update(|account| {
            account.received += received;
            account.in_flight += received;
            account.complete_up_to = account.complete_up_to.max(caught_up);
        });
        Ok(())
    }

    /// Makes the batch durable: dead letters first, then rows and checkpoint in one snapshot. Gives the next batch.
    async fn commit(&mut self, mut batch: Batch, intake: &mut Intake, guard: &mut Guard) -> Result<Batch> {
        if batch.is_empty() {
            return Ok(batch);
        }
        self.end_handover(&mut batch);
        let id = self.ambient.uuid();
        let (letters, files) = self.stage(id, &batch, intake).await?;
        let shape = self.sink.shape();
        let schema = shape.schema.clone();
        let transformed = compute(|| transform(shape, batch.changes));
        let changed = Self::supersede(guard, &mut batch.to, &transformed.last_of_item);
        let twins = Self::release_twins(guard, &mut batch.to, &letters);
        let fresh = Self::hold(&mut batch.to, &batch.rejected_at, &letters, files, &transformed.last_of_item);
        self.schedule_retries(&mut batch.to, false);
        let commit = Commit { id, from: &batch.from, to: &batch.to, complete_up_to: batch.complete_up_to };
        self.sink.commit(transformed.changes, commit).await.inspect_err(|error| self.count_failure(error))?;
        twins.iter().for_each(|(item, place)| guard.forget(*item, place));
        guard.follow(&changed, fresh);
        self.follow_columns(&schema, intake)?;

        let rejected = batch.rejected.len() as u64;
        self.accounts.update(|account| {
            account.in_flight -= batch.received as u64;
            account.upserted += transformed.upserted as u64;
            account.deleted += transformed.deleted as u64;
            account.superseded += (transformed.superseded + batch.superseded) as u64;
            account.filtered += (transformed.filtered + batch.filtered) as u64;
            account.rejected += rejected;
            account.commits += 1;
            account.gaps = batch.to.gaps().len() as u64;
            account.hold(&batch.to.held);
            account.last_commit = Some(self.ambient.now());
            account.complete_up_to = account.complete_up_to.max(batch.complete_up_to);
        });
        debug!(received = batch.received, rejected, "committed");
        let mut next = Batch::after(batch.to);
        self.announce(&mut next.to).await?;
        Ok(next)
    }
}
