//! What becomes of records that have arrived: through a function (`lambda`), JQ (`jq`), to a table or objects (`route`).
//!
//! A delivery stream's records are looked at in their order, one batch at a time, and what was decided about a batch
//! becomes durable in one transaction. A kill before it means that the same records are looked at again.

mod jq;
mod lambda;
mod route;

use std::time::Duration;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::firehose::Firehose;
use crate::firehose::buffer::{self, Arrived, Fate};
use crate::firehose::error::{self, Result};
use crate::firehose::settings::Processing;
use crate::firehose::stream::{DeliveryStream, Destination};

pub(crate) use jq::Query;

/// Records that are looked at together, where no function says how many.
const RECORDS_MAX: usize = 2_000;
const BYTES_MAX: u64 = 8 << 20;

/// The pause after a failure of ours.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks at the records of a delivery stream until it is deleted.
pub(crate) async fn run(firehose: Firehose, stream: i64, shutdown: CancellationToken) {
    let mut bell = firehose.bells.listen(stream);
    loop {
        bell.borrow_and_update();
        let pause = match shutdown.run_until_cancelled(step(&firehose, stream)).await {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(pause))) => pause,
            Some(Err(error)) => {
                warn!(stream, error = &error as &dyn std::error::Error, "records wait to be processed");
                PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = bell.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks at the next records, where there are any and they have waited long enough. Gives how long there is nothing to
/// do; `None` for ever.
async fn step(firehose: &Firehose, number: i64) -> Result<Option<Duration>> {
    loop {
        let state = firehose.store.run(move |connection| {
            let stream = DeliveryStream::numbered(connection, number)?;
            Ok((stream, buffer::waiting(connection, number)?))
        });
        let (stream, (count, bytes, first_ms)) = state.await?;
        let Some(stream) = stream else { return Ok(None) };
        let Some(first_ms) = first_ms.filter(|_| count > 0) else { return Ok(Some(Duration::from_secs(3_600))) };
        let processing = processing_of(&stream)?;
        let mut bytes_max = BYTES_MAX;
        if let Some(lambda) = &processing.lambda {
            bytes_max = lambda.buffer_bytes;
            let due_ms = first_ms + lambda.buffer_interval_ms;
            let now_ms = firehose.ambient.now_ms();
            if bytes < lambda.buffer_bytes && now_ms < due_ms && count < RECORDS_MAX as u64 {
                return Ok(Some(Duration::from_millis((due_ms - now_ms).unsigned_abs())));
            }
        }
        let records =
            firehose.store.run(move |connection| buffer::unsettled(connection, number, RECORDS_MAX, bytes_max));
        let records = records.await?;
        let fates = decide(firehose, &stream, &processing, records).await?;
        let now_ms = firehose.ambient.now_ms();
        let is_backed_up = stream.document.destination.backup().is_some();
        let settle = move |connection: &Connection| buffer::settle(connection, number, now_ms, fates, is_backed_up);
        firehose.store.run(settle).await?;
        firehose.bells.ring(number);
        firehose.bells.ring(crate::firehose::bells::CHANGES);
    }
}

fn processing_of(stream: &DeliveryStream) -> Result<Processing> {
    match &stream.document.destination {
        Destination::Iceberg(settings) => settings.processing(),
        Destination::S3 { settings, .. } => settings.processing(),
    }
}

async fn decide(
    firehose: &Firehose,
    stream: &DeliveryStream,
    processing: &Processing,
    records: Vec<Arrived>,
) -> Result<Vec<(Arrived, Fate)>> {
    let seen = match &processing.lambda {
        Some(lambda) => lambda::apply(firehose, stream, lambda, &records).await?,
        None => records.iter().map(|_| lambda::Seen::untouched()).collect(),
    };
    let query = processing.metadata_extraction.as_deref().map(Query::compile).transpose();
    let query = query.map_err(error::invalid)?;
    let router = route::Router { stream, query: query.as_ref(), delimiter: processing.delimiter.as_deref() };
    Ok(records
        .into_iter()
        .zip(seen)
        .map(|(record, seen)| {
            let fate = router.route(&record, seen);
            (record, fate)
        })
        .collect())
}
