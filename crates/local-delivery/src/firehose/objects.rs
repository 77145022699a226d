//! Writes records to objects of S3: as they are, one behind the other, or as rows of Parquet.
//!
//! The name of an object and its records are durable before the object is written, and the records go after it: a kill in
//! between writes the same object again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::firehose::buffer::{self, BACKUP, Buffered, OBJECTS};
use crate::firehose::error::{Error, Result};
use crate::firehose::failure::{Failure, Kind};
use crate::firehose::object_name::{Content, object_name};
use crate::firehose::settings::S3Destination;
use crate::firehose::stream::{DeliveryStream, Destination};
use crate::firehose::table_delivery::report;
use crate::firehose::{Firehose, bells};

const PAUSE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(3_600);
const RECORDS_MAX: usize = 1_000_000;

/// Records with one set of partition keys.
struct Lane {
    number: i64,
    kind: &'static str,
    partition_keys: String,
    bytes: u64,
    arrived_ms: i64,
    last: i64,
    object: Option<String>,
}

/// Writes the objects of a delivery stream until it is deleted.
pub(crate) async fn run(firehose: Firehose, number: i64, shutdown: CancellationToken) {
    let mut bell = firehose.bells.listen(number);
    loop {
        bell.borrow_and_update();
        let pause = match shutdown.run_until_cancelled(step(&firehose, number)).await {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(pause))) => pause,
            Some(Err(error)) => {
                warn!(stream = number, error = &error as &dyn std::error::Error, "objects wait");
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

/// Gives how long there is nothing to do; `None` where the delivery stream is gone.
async fn step(firehose: &Firehose, number: i64) -> Result<Option<Duration>> {
    let (mut pause, now_ms) = (IDLE, firehose.ambient.now_ms());
    let found = firehose.store.run(move |connection| {
        let Some(stream) = DeliveryStream::numbered(connection, number)? else { return Ok(None) };
        let mut lanes = lanes(connection, number, OBJECTS)?;
        lanes.extend(self::lanes(connection, number, BACKUP)?);
        Ok(Some((stream, lanes)))
    });
    let Some((stream, lanes)) = found.await? else { return Ok(None) };
    for lane in lanes {
        let Some(settings) = place(&stream.document.destination, lane.kind) else { continue };
        let due_ms = lane.arrived_ms + settings.buffering_hints.interval_ms();
        let is_due = lane.bytes >= settings.buffering_hints.size_bytes() || now_ms >= due_ms;
        if lane.object.is_none() && !is_due {
            pause = pause.min(Duration::from_millis((due_ms - now_ms).unsigned_abs()));
            continue;
        }
        let (kind, partition_keys) = (lane.kind, lane.partition_keys.clone());
        let written = write(firehose, &stream, settings, lane).await;
        let problem = written.as_ref().err().map(|error| format!("records wait: {error}"));
        let told = move |connection: &Connection| report(connection, number, kind, &partition_keys, problem.as_deref());
        firehose.store.run(told).await?;
        written?;
        firehose.bells.ring(bells::CHANGES);
        pause = Duration::ZERO;
    }
    Ok(Some(pause))
}

/// Where the records of such a lane are written. A backup that is switched off is carried on with what is in it.
fn place<'a>(destination: &'a Destination, kind: &str) -> Option<&'a S3Destination> {
    match (kind, destination) {
        (OBJECTS, Destination::S3 { settings, .. }) => Some(settings),
        (BACKUP, Destination::S3 { settings, .. }) => settings.backup(),
        (BACKUP, Destination::Iceberg(settings)) => Some(&settings.s3_configuration),
        _ => None,
    }
}

async fn write(firehose: &Firehose, stream: &DeliveryStream, settings: &S3Destination, lane: Lane) -> Result<()> {
    let (number, kind, bucket) = (lane.number, lane.kind, settings.bucket().unwrap_or_default());
    let bytes_max = settings.buffering_hints.size_bytes();
    let object = match lane.object {
        Some(object) => object,
        None => {
            let partition_keys: BTreeMap<String, String> = serde_json::from_str(&lane.partition_keys)?;
            let extension = match (&settings.file_extension, settings.compression_format.as_str()) {
                (Some(extension), _) => extension,
                (None, "GZIP") => ".gz",
                (None, _) if settings.conversion()?.is_some() => ".parquet",
                (None, _) => "",
            };
            let content = Content {
                prefix: settings.prefix.as_deref().unwrap_or_default(),
                arrived_ms: lane.arrived_ms,
                error_type: "",
                partition_keys: &partition_keys,
                extension,
            };
            object_name(&firehose.ambient, stream, &content)
        }
    };
    let name = object.clone();
    let named = firehose.store.run(move |connection| {
        let records = buffer::routed(connection, number, 0, RECORDS_MAX, bytes_max)?;
        let is_named = "SELECT max(record) FROM routed WHERE lane = ? AND object = ?";
        let before: Option<i64> =
            connection.prepare_cached(is_named)?.query_row(params![number, name], |row| row.get(0))?;
        let last = before.or_else(|| records.last().map(|record| record.number)).unwrap_or(lane.last);
        let sql = "UPDATE routed SET object = ? WHERE lane = ? AND record <= ?";
        connection.execute(sql, params![name, number, last])?;
        let records: Vec<Buffered> = records.into_iter().filter(|record| record.number <= last).collect();
        Ok::<_, Error>((records, last))
    });
    let (records, last) = named.await?;
    let count = records.len();
    if let Some(content) = content(firehose, stream, settings, records).await? {
        let written = firehose.neighbours.objects.write(bucket, &object, content).await;
        written.map_err(|source| Error::Object { bucket: bucket.to_owned(), source })?;
        info!(bucket, object, records = count, "wrote records");
    }
    let stream = stream.number;
    let written = move |connection: &Connection| match kind {
        BACKUP => buffer::backed_up(connection, number, last),
        _ => buffer::delivered(connection, stream, number, last),
    };
    firehose.store.run(written).await
}

/// The bytes of an object; `None` where none of the records can be in one. Those that cannot are kept for an error object.
async fn content(
    firehose: &Firehose,
    stream: &DeliveryStream,
    settings: &S3Destination,
    records: Vec<Buffered>,
) -> Result<Option<Bytes>> {
    let Some((table, compression)) = settings.conversion()? else {
        return Ok(Some(encode(&records, &settings.compression_format)));
    };
    let data = records.iter().map(|record| record.data.clone()).collect();
    let converted = firehose.neighbours.formats.to_parquet(&table, compression, data).await;
    let converted = converted.map_err(|source| Error::Conversion { table: table.table, source })?;
    let (number, now_ms) = (stream.number, firehose.ambient.now_ms());
    let prefix = settings.error_output_prefix.clone().unwrap_or_default();
    let rejected = converted.rejected;
    let refused = firehose.store.run(move |connection| {
        for (place, reason) in rejected {
            let failure = Failure::new(Kind::FormatConversion, "DataFormatConversion.ParseError", reason, &prefix);
            buffer::refuse(connection, number, records[place].number, &failure, now_ms)?;
        }
        Ok(())
    });
    refused.await?;
    firehose.bells.ring(number);
    Ok(converted.content)
}

fn encode(records: &[Buffered], compression: &str) -> Bytes {
    let joined = records.iter().map(|record| record.data.as_ref()).collect::<Vec<_>>().concat();
    if compression != "GZIP" {
        return joined.into();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let encoded = encoder.write_all(&joined).and_then(|()| encoder.finish());
    encoded.expect("memory takes all that is written").into()
}

fn lanes(connection: &Connection, stream: i64, kind: &'static str) -> Result<Vec<Lane>> {
    let sql = "SELECT lane.number, lane.name, sum(length(coalesce(routed.data, record.data))), min(record.arrived_at),
                      max(record.number), min(routed.object)
               FROM lane JOIN routed ON routed.lane = lane.number JOIN record ON record.number = routed.record
               WHERE lane.stream = ? AND lane.kind = ? GROUP BY lane.number";
    let mut statement = connection.prepare_cached(sql)?;
    let lanes = statement.query_map(params![stream, kind], |row| {
        Ok(Lane {
            number: row.get(0)?,
            kind,
            partition_keys: row.get(1)?,
            bytes: row.get::<_, i64>(2)? as u64,
            arrived_ms: row.get(3)?,
            last: row.get(4)?,
            object: row.get(5)?,
        })
    })?;
    Ok(lanes.collect::<rusqlite::Result<_>>()?)
}
