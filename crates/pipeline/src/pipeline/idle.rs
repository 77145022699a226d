//! What the loop does where there is nothing to commit, and about columns that somebody else changed.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use lake::RowChanges;
use tracing::info;

use crate::batch::Batch;
use crate::error::Result;
use crate::intake::Intake;
use crate::pipeline::Pipeline;
use crate::pipeline::resume::since_epoch_ms;
use crate::sink::Commit;

/// How often an idle pipeline looks after its checkpoint in the table: well within the hour that S3 Tables keeps a
/// snapshot at the least.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(20 * 60);

/// How old the moment may be up to which the table says it is complete: well within the day that a stream keeps records
/// at the least, as a reader that comes back later goes on from there.
const STALE_MS: i64 = 6 * 3_600_000;

impl Pipeline {
    /// Looks after the checkpoint in the table. There is nothing to commit, but now and then that all is still there.
    pub(super) async fn look_after(&mut self, batch: &Batch, intake: &mut Intake) -> Result<()> {
        let schema = self.sink.shape().schema.clone();
        let complete_ms = batch.complete_up_to.and_then(since_epoch_ms);
        let is_stale = complete_ms.zip(self.sink.complete_up_to_ms()).is_some_and(|(now, told)| now - told > STALE_MS);
        if is_stale {
            let (id, at) = (self.ambient.uuid(), &batch.from);
            let nothing = Commit { id, from: at, to: at, complete_up_to: batch.complete_up_to };
            self.sink.commit(RowChanges::default(), nothing).await?;
        } else {
            self.sink.heartbeat(&batch.from).await?;
        }
        self.follow_columns(&schema, intake)
    }

    /// What comes is decoded for the columns that the table has now. They were those of `before`.
    pub(super) fn follow_columns(&self, before: &SchemaRef, intake: &mut Intake) -> Result<()> {
        if self.sink.shape().schema != *before {
            info!("somebody changed the table's columns");
            *intake = self.intake()?;
        }
        Ok(())
    }
}
