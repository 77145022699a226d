//! The loop that everything else serves: poll, decode, transform, commit.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use arrow::datatypes::SchemaRef;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::accounting::Accounts;
use crate::batch::{Batch, Delivery};
use crate::checkpoint::Checkpoint;
use crate::compute::compute;
use crate::dead_letter::DeadLetterQueue;
use crate::error::Result;
use crate::intake::Intake;
use crate::lambda::{Handed, LambdaTransform};
use crate::sink::Sink;
use crate::source::{Polled, Source};
use crate::sql::SqlTransform;
use crate::transform::transform;

/// How often an idle pipeline looks after its checkpoint in the table: well within the hour that S3 Tables keeps a
/// snapshot at the least.
const HEARTBEAT: Duration = Duration::from_secs(20 * 60);

/// A change stream kept applied to one table.
pub struct Pipeline {
    pub source: Box<dyn Source>,
    /// Without one every attribute goes to its own column.
    pub sql: Option<Arc<SqlTransform>>,
    /// A function that records pass through first.
    pub lambda: Option<LambdaTransform>,
    pub sink: Box<dyn Sink>,
    pub dead_letters: Box<dyn DeadLetterQueue>,
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
        let mut batch = Batch::after(checkpoint?);
        batch.to.incarnation = self.source.incarnation().to_owned();
        batch.to.adopt_transform(self.transform_id().as_deref());
        let mut intake = self.intake()?;
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = batch.is_due(&self.delivery) => batch = self.commit(batch, &mut intake).await?,
                _ = heartbeat.tick(), if batch.is_empty() => self.look_after(&batch.from, &mut intake).await?,
                polled = self.source.poll() => {
                    let Some(polled) = polled? else { break };
                    self.receive(polled, shutdown, &mut intake, &mut batch).await?;
                    if batch.is_full(&self.delivery) {
                        batch = self.commit(batch, &mut intake).await?;
                    }
                }
            }
        }
        self.commit(batch, &mut intake).await?;
        Ok(())
    }

    /// Takes the table over and sets the source to where the table is.
    async fn resume(&mut self) -> Result<Checkpoint> {
        let checkpoint = self.sink.take_over().await?;
        self.source.resume(&checkpoint).await?;
        info!(incarnation = self.source.incarnation(), "reading");
        self.accounts.update(|account| account.gaps = checkpoint.gaps().len() as u64);
        Ok(checkpoint)
    }

    /// For the table as its columns are now.
    fn intake(&self) -> Result<Intake> {
        Intake::new(self.sql.as_ref(), self.sink.shape())
    }

    /// The name under which a checkpoint has the transform.
    fn transform_id(&self) -> Option<String> {
        let of_function = self.lambda.as_ref().map(LambdaTransform::id);
        of_function.or_else(|| self.sql.as_ref().map(|sql| sql.id().to_owned()))
    }

    /// Decodes and transforms what was polled into `batch`. Columns for new attributes are added to the table first.
    async fn receive(
        &mut self,
        polled: Polled,
        shutdown: &CancellationToken,
        intake: &mut Intake,
        batch: &mut Batch,
    ) -> Result<()> {
        let handed = match &self.lambda {
            None => Handed::untouched(&polled.records),
            // A function may take minutes. What it has not answered by then is read again by the next run.
            Some(lambda) => match shutdown.run_until_cancelled(lambda.apply(&polled.records)).await {
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
        batch.push(polled, decoded);

        let caught_up = batch.complete_up_to.filter(|_| batch.is_empty());
        self.accounts.update(|account| {
            account.received += received;
            account.in_flight += received;
            account.complete_up_to = account.complete_up_to.max(caught_up);
        });
        Ok(())
    }

    /// Makes the batch durable: dead letters first, then rows and checkpoint in one snapshot. Gives the next batch.
    async fn commit(&mut self, batch: Batch, intake: &mut Intake) -> Result<Batch> {
        if batch.is_empty() {
            return Ok(batch);
        }
        self.dead_letters.send(&batch.rejected).await?;
        let shape = self.sink.shape();
        let schema = shape.schema.clone();
        let transformed = compute(|| transform(shape, batch.changes));
        self.sink.commit(transformed.changes, &batch.from, &batch.to, batch.complete_up_to).await?;
        self.follow_columns(&schema, intake)?;

        let rejected = batch.rejected.len() as u64;
        self.accounts.update(|account| {
            account.in_flight -= batch.received as u64;
            account.upserted += transformed.upserted as u64;
            account.deleted += transformed.deleted as u64;
            account.superseded += transformed.superseded as u64;
            account.filtered += transformed.filtered as u64;
            account.rejected += rejected;
            account.commits += 1;
            account.gaps = batch.to.gaps().len() as u64;
            account.last_commit = Some(self.ambient.now());
            account.complete_up_to = account.complete_up_to.max(batch.complete_up_to);
        });
        debug!(received = batch.received, rejected, "committed");
        Ok(Batch::after(batch.to))
    }

    /// Looks after the checkpoint `at` in the table. There is nothing to commit.
    async fn look_after(&mut self, at: &Checkpoint, intake: &mut Intake) -> Result<()> {
        let schema = self.sink.shape().schema.clone();
        self.sink.heartbeat(at).await?;
        self.follow_columns(&schema, intake)
    }

    /// What comes is decoded for the columns that the table has now. They were those of `before`.
    fn follow_columns(&self, before: &SchemaRef, intake: &mut Intake) -> Result<()> {
        if self.sink.shape().schema != *before {
            info!("somebody changed the table's columns");
            *intake = self.intake()?;
        }
        Ok(())
    }
}
