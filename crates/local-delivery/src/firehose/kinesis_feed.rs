//! Delivery streams whose records come from a Kinesis stream, for whoever reads that.

use bytes::Bytes;
use rusqlite::params;

use crate::firehose::error::Result;
use crate::firehose::stream::{DeliveryStream, Source};
use crate::firehose::{Firehose, buffer};

/// Takes the records of one Kinesis stream. Cheap to clone.
#[derive(Clone)]
pub struct KinesisFeed {
    firehose: Firehose,
    stream: i64,
    pub stream_name: String,
    pub kinesis_stream_arn: String,
    /// Records that are older are not taken.
    pub start_ms: i64,
}

impl Firehose {
    pub async fn kinesis_feeds(&self) -> Result<Vec<KinesisFeed>> {
        let streams = self.store.run(DeliveryStream::list).await?;
        let feed = |stream: DeliveryStream| match stream.document.source {
            Source::Kinesis { stream_arn, .. } => Some(KinesisFeed {
                firehose: self.clone(),
                stream: stream.number,
                stream_name: stream.address.name,
                kinesis_stream_arn: stream_arn,
                start_ms: stream.document.created_ms,
            }),
            Source::DirectPut { .. } => None,
        };
        Ok(streams.into_iter().filter_map(feed).collect())
    }
}

impl KinesisFeed {
    /// Tells the feeds of delivery streams apart, also of two that had one name.
    pub fn id(&self) -> i64 {
        self.stream
    }

    /// Up to where records were taken; `None` at the beginning.
    pub async fn checkpoint(&self) -> Result<Option<String>> {
        let stream = self.stream;
        let read = self.firehose.store.run(move |connection| {
            let sql = "SELECT source_checkpoint FROM delivery_stream WHERE number = ?";
            Ok(connection.query_row(sql, [stream], |row| row.get(0))?)
        });
        read.await
    }

    /// Takes records and the checkpoint behind them, both or neither.
    pub async fn take(&self, records: Vec<Bytes>, checkpoint: String) -> Result<()> {
        let (stream, now_ms) = (self.stream, self.firehose.ambient.now_ms());
        let taken = self.firehose.store.run(move |connection| {
            buffer::append(connection, stream, now_ms, &records)?;
            let sql = "UPDATE delivery_stream SET source_checkpoint = ? WHERE number = ?";
            connection.prepare_cached(sql)?.execute(params![checkpoint, stream])?;
            Ok(())
        });
        taken.await?;
        self.firehose.bells.ring(self.stream);
        Ok(())
    }
}
