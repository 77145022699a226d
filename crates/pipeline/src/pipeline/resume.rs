//! How a run begins: it takes the table over, and the source goes on from where the table is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::info;

use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::lambda::LambdaTransform;
use crate::pipeline::Pipeline;

impl Pipeline {
    /// Takes the table over and sets the source to where the table is. Gives the checkpoint of the table, and the one
    /// that the source goes on from: they differ at the first start, and where one stream takes over from another.
    pub(super) async fn resume(&mut self) -> Result<(Checkpoint, Checkpoint)> {
        let checkpoint = self.sink.take_over().await?;
        let complete_up_to_ms = self.sink.complete_up_to_ms();
        let mut to = match self.order {
            Some(_) => checkpoint.followed_by(self.source.incarnation(), self.ambient.now_ms(), complete_up_to_ms),
            None => checkpoint.clone(),
        };
        // While one stream takes over from another, each of its records is looked at.
        if let Some(complete_up_to_ms) = complete_up_to_ms.filter(|_| to.handover().is_none()) {
            self.source.set_complete_up_to(complete_up_to_ms);
        }
        self.source.count_throttles(self.accounts.throttled());
        self.source.resume(&to).await?;
        to.incarnation = self.source.incarnation().to_owned();
        if let Some(order) = &mut self.order {
            order.recall(&to, complete_up_to_ms).await?;
        }
        info!(incarnation = self.source.incarnation(), "reading");
        self.accounts.update(|account| {
            account.gaps = checkpoint.gaps().len() as u64;
            account.hold(&checkpoint.held);
            account.retention = self.source.retention();
            account.complete_at_start = complete_up_to_ms.map(from_epoch_ms);
        });
        Ok((checkpoint, to))
    }

    /// The name under which a checkpoint has the transform.
    pub(super) fn transform_id(&self) -> Option<String> {
        let of_function = self.lambda.as_ref().map(LambdaTransform::id);
        of_function.or_else(|| self.sql.as_ref().map(|sql| sql.id().to_owned()))
    }

    /// Forgets the stream before, once this one is read so far that nothing comes twice any more.
    pub(super) fn end_handover(&mut self, batch: &mut Batch) {
        let Some(until_ms) = batch.to.handover().map(|handover| handover.until_ms) else { return };
        if batch.complete_up_to.and_then(since_epoch_ms).is_some_and(|complete_ms| complete_ms >= until_ms) {
            batch.to.end_handover();
            if let Some(order) = &mut self.order {
                order.end_handover();
            }
        }
    }
}

fn from_epoch_ms(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.max(0).unsigned_abs())
}

pub(super) fn since_epoch_ms(moment: SystemTime) -> Option<i64> {
    moment.duration_since(UNIX_EPOCH).ok().map(|since| since.as_millis() as i64)
}
