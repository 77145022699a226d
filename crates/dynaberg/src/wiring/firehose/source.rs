//! The buffer of a delivery stream as a pipeline's source: one shard for each table, in the order of arrival.

use async_trait::async_trait;
use local_delivery::TableDelivery;
use pipeline::{
    Checkpoint, Error, ErrorKind, Operation, Polled, Position, RawRecord, Result, SequenceNumber, ShardId,
    ShardProgress, Source, change_of,
};

/// What one poll takes.
const RECORDS_MAX: usize = 2_000;
const BYTES_MAX: u64 = 4 << 20;

pub struct BufferSource {
    delivery: TableDelivery,
    shard: ShardId,
    incarnation: String,
    /// The number of the last record that was polled.
    after: i64,
    /// What the first poll says of shards: ours begins, and those of delivery streams before this one are over.
    begun: Option<Polled>,
}

impl BufferSource {
    pub fn new(delivery: TableDelivery) -> Self {
        let shard = ShardId::new(&delivery.settings.shard);
        let incarnation = delivery.settings.stream_arn.clone();
        Self { delivery, shard, incarnation, after: 0, begun: None }
    }
}

#[async_trait]
impl Source for BufferSource {
    /// Records that the table has are let go: the process may have been killed before it did that.
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let others: Vec<ShardId> =
            checkpoint.shards().map(|(shard, _)| shard).filter(|shard| **shard != self.shard).cloned().collect();
        let is_new = checkpoint.progress(&self.shard).is_none();
        if is_new || !others.is_empty() {
            let begun = if is_new { vec![self.shard.clone()] } else { Vec::new() };
            self.begun = Some(Polled { begun, ended: others.clone(), forgotten: others, ..Polled::default() });
        }
        self.after = number_of(checkpoint, &self.shard);
        self.delivery.delivered(self.after).await.map_err(buffer_error)
    }

    fn incarnation(&self) -> &str {
        &self.incarnation
    }

    async fn poll(&mut self) -> Result<Option<Polled>> {
        let records = self.delivery.read(self.after, RECORDS_MAX, BYTES_MAX).await.map_err(buffer_error)?;
        let mut polled = self.begun.take().unwrap_or_default();
        for record in records {
            let operation = match record.operation {
                local_delivery::Operation::Insert => Operation::Insert,
                local_delivery::Operation::Update => Operation::Modify,
                local_delivery::Operation::Delete => Operation::Remove,
            };
            // What cannot be written as a change is no change to the decoder either, which says why.
            let json = change_of(operation, &self.delivery.settings.unique_keys, &record.data).unwrap_or(record.data);
            let digits = record.number.to_string();
            let sequence_number = SequenceNumber::parse(&digits).expect("a number is written in digits");
            let position = Position { shard: self.shard.clone(), sequence_number, part: 0 };
            polled.records.push(RawRecord { position, json });
            self.after = record.number;
        }
        Ok(Some(polled))
    }
}

/// The number of the last record that is durable in the table; 0 where none is.
pub fn number_of(checkpoint: &Checkpoint, shard: &ShardId) -> i64 {
    match checkpoint.progress(shard) {
        Some(ShardProgress::At(number)) => number.as_str().parse().unwrap_or_default(),
        _ => 0,
    }
}

pub fn buffer_error(failure: local_delivery::FirehoseFailure) -> Error {
    Error::new(ErrorKind::Transient, "read or write the buffer of a delivery stream").with_source(failure)
}
