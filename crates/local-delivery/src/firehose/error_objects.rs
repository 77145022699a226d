//! Writes records that failed to objects, in lines of JSON.
//!
//! The name of an object is durable before the object is written, and its lines are forgotten after it: a kill in
//! between writes the same object again.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::firehose::error::{Error, Result};
use crate::firehose::object_name::{Content, object_name};
use crate::firehose::settings::S3Destination;
use crate::firehose::stream::{DeliveryStream, Destination};
use crate::firehose::table_delivery::report;
use crate::firehose::{Firehose, delivery_log};

const PAUSE: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(3_600);

/// Lines of one object.
const LINES_MAX: i64 = 10_000;

/// Writes error objects of a delivery stream until it is deleted.
pub(crate) async fn run(firehose: Firehose, number: i64, shutdown: CancellationToken) {
    let mut bell = firehose.bells.listen(number);
    loop {
        bell.borrow_and_update();
        let pause = match shutdown.run_until_cancelled(step(&firehose, number)).await {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(pause))) => {
                tell(&firehose, number, None).await;
                pause
            }
            Some(Err(error)) => {
                warn!(stream = number, error = &error as &dyn std::error::Error, "error objects wait");
                tell(&firehose, number, Some(format!("error objects wait: {error}"))).await;
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

async fn tell(firehose: &Firehose, number: i64, problem: Option<String>) {
    let told = firehose.store.run(move |connection| report(connection, number, "errors", "", problem.as_deref()));
    if let Err(error) = told.await {
        warn!(error = &error as &dyn std::error::Error, "keep the status of a delivery stream");
    }
}

/// Failures that go to one folder.
struct Group {
    prefix: String,
    kind: String,
    bytes: u64,
    failed_ms: i64,
    arrived_ms: i64,
}

/// Gives how long there is nothing to do; `None` where the delivery stream is gone.
async fn step(firehose: &Firehose, number: i64) -> Result<Option<Duration>> {
    let ambient = firehose.ambient.clone();
    let named = firehose.store.run(move |connection| {
        let Some(stream) = DeliveryStream::numbered(connection, number)? else { return Ok(None) };
        let s3 = place(&stream).clone();
        let now_ms = ambient.now_ms();
        let mut pause = IDLE;
        for group in groups(connection, number)? {
            let due_ms = group.failed_ms + s3.buffering_hints.interval_ms();
            if group.bytes < s3.buffering_hints.size_bytes() && now_ms < due_ms {
                pause = pause.min(Duration::from_millis((due_ms - now_ms).unsigned_abs()));
                continue;
            }
            let content = Content {
                prefix: &group.prefix,
                arrived_ms: group.arrived_ms,
                error_type: &group.kind,
                partition_keys: &BTreeMap::new(),
                extension: "",
            };
            let object = object_name(&ambient, &stream, &content);
            let sql = "UPDATE failure SET object = ?1 WHERE stream = ?2 AND record IN (SELECT record FROM failure
                       WHERE stream = ?2 AND prefix = ?3 AND kind = ?4 AND object IS NULL ORDER BY record LIMIT ?5)";
            connection.execute(sql, params![object, number, group.prefix, group.kind, LINES_MAX])?;
        }
        let sql = "SELECT object, line FROM failure WHERE stream = ? AND object IS NOT NULL ORDER BY object, record";
        let mut statement = connection.prepare_cached(sql)?;
        let mut objects: BTreeMap<String, String> = BTreeMap::new();
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            let lines = objects.entry(row.get(0)?).or_default();
            lines.push_str(&row.get::<_, String>(1)?);
            lines.push('\n');
        }
        Ok(Some((stream, s3, objects, pause)))
    });
    let Some((stream, s3, objects, pause)) = named.await? else { return Ok(None) };
    let bucket = s3.bucket().unwrap_or_default();
    for (object, lines) in objects {
        let written = firehose.neighbours.objects.write(bucket, &object, lines.clone().into()).await;
        written.map_err(|source| Error::Object { bucket: bucket.to_owned(), source })?;
        delivery_log::tell(firehose, &stream, bucket, &object, &lines).await;
        info!(bucket, object, "wrote records that failed");
        let forget = move |connection: &Connection| {
            connection.execute("DELETE FROM failure WHERE stream = ? AND object = ?", params![number, object])?;
            Ok::<_, Error>(())
        };
        firehose.store.run(forget).await?;
    }
    Ok(Some(pause))
}

/// Where a delivery stream puts what failed.
fn place(stream: &DeliveryStream) -> &S3Destination {
    match &stream.document.destination {
        Destination::Iceberg(settings) => &settings.s3_configuration,
        Destination::S3 { settings, .. } => settings,
    }
}

fn groups(connection: &Connection, stream: i64) -> Result<Vec<Group>> {
    let sql = "SELECT prefix, kind, sum(length(line)), min(failed_at), min(arrived_at) FROM failure
               WHERE stream = ? AND object IS NULL GROUP BY prefix, kind";
    let mut statement = connection.prepare_cached(sql)?;
    let groups = statement.query_map([stream], |row| {
        Ok(Group {
            prefix: row.get(0)?,
            kind: row.get(1)?,
            bytes: row.get::<_, i64>(2)? as u64,
            failed_ms: row.get(3)?,
            arrived_ms: row.get(4)?,
        })
    })?;
    Ok(groups.collect::<rusqlite::Result<_>>()?)
}
