//! A table as the sink of a delivery stream, which lets its records go once the table has them.

use async_trait::async_trait;
use lake::RowChanges;
use local_delivery::TableDelivery;
use pipeline::{Checkpoint, Commit, NewColumn, Result, ShardId, Sink, TableShape, TableSink};

use super::source::{buffer_error, number_of};

pub struct DeliverySink {
    pub table: TableSink,
    pub delivery: TableDelivery,
}

#[async_trait]
impl Sink for DeliverySink {
    async fn take_over(&mut self) -> Result<Checkpoint> {
        self.table.take_over().await
    }

    fn complete_up_to_ms(&self) -> Option<i64> {
        self.table.complete_up_to_ms()
    }

    fn shape(&self) -> &TableShape {
        self.table.shape()
    }

    async fn add_columns(&mut self, columns: &[NewColumn]) -> Result<()> {
        self.table.add_columns(columns).await
    }

    async fn commit(&mut self, changes: RowChanges, commit: Commit<'_>) -> Result<()> {
        self.table.commit(changes, commit).await?;
        let up_to = number_of(commit.to, &ShardId::new(&self.delivery.settings.shard));
        self.delivery.delivered(up_to).await.map_err(buffer_error)
    }

    async fn heartbeat(&mut self, at: &Checkpoint) -> Result<()> {
        self.table.heartbeat(at).await
    }
}
