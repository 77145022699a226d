//! Records of a delivery stream on their way to one table, for whoever writes the table.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::firehose::Firehose;
use crate::firehose::buffer::{self, Buffered, TABLE};
use crate::firehose::error::Result;
use crate::firehose::failure::{Failure, Kind};
use crate::firehose::settings::CatalogArn;
use crate::firehose::stream::{DeliveryStream, Destination};

/// What there is to deliver, and how. Cheap to clone.
#[derive(Clone)]
pub struct TableDelivery {
    firehose: Firehose,
    stream: i64,
    lane: i64,
    error_prefix: String,
    pub settings: TableSettings,
}

/// What a delivery was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    pub stream_name: String,
    pub stream_arn: String,
    /// Tells these records from those of every other delivery.
    pub shard: String,
    pub catalog: CatalogArn,
    pub database: String,
    pub table: String,
    /// The columns by which rows are updated and deleted.
    pub unique_keys: Vec<String>,
    pub interval: Duration,
    pub size_bytes: u64,
    /// How long records wait for a table that is missing.
    pub retries_for: Duration,
}

/// A record that the table has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// That of [`Buffered`].
    pub number: i64,
    /// `Iceberg.SchemaTypeMismatch`.
    pub code: &'static str,
    pub message: String,
}

impl Firehose {
    /// The tables that records were routed to, whether or not they are there.
    pub async fn table_deliveries(&self) -> Result<Vec<TableDelivery>> {
        let firehose = self.clone();
        let found = self.store.run(move |connection| {
            let mut deliveries = Vec::new();
            for stream in DeliveryStream::list(connection)? {
                let sql = "SELECT number, name FROM lane WHERE stream = ? AND kind = ? ORDER BY number";
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(params![stream.number, TABLE])?;
                while let Some(row) = rows.next()? {
                    let name: String = row.get(1)?;
                    deliveries.extend(TableDelivery::of(&firehose, &stream, row.get(0)?, &name)?);
                }
            }
            Ok(deliveries)
        });
        found.await
    }
}

impl TableDelivery {
    fn of(firehose: &Firehose, stream: &DeliveryStream, lane: i64, name: &str) -> Result<Option<Self>> {
        let Destination::Iceberg(settings) = &stream.document.destination else { return Ok(None) };
        let Some((database, table)) = name.split_once('.') else { return Ok(None) };
        let configured = settings.table(name);
        let prefix = configured.and_then(|table| table.s3_error_output_prefix.as_ref());
        let prefix = prefix.or(settings.s3_configuration.error_output_prefix.as_ref());
        Ok(Some(Self {
            firehose: firehose.clone(),
            stream: stream.number,
            lane,
            error_prefix: prefix.cloned().unwrap_or_default(),
            settings: TableSettings {
                stream_name: stream.address.name.clone(),
                stream_arn: stream.address.arn(),
                shard: format!("{}-{lane}", stream.document.incarnation),
                catalog: settings.catalog()?,
                database: database.to_owned(),
                table: table.to_owned(),
                unique_keys: configured.map(|table| table.unique_keys.clone()).unwrap_or_default(),
                interval: Duration::from_secs(settings.buffering_hints.interval_in_seconds),
                size_bytes: settings.buffering_hints.size_bytes(),
                retries_for: Duration::from_secs(settings.retry_options.duration_in_seconds),
            },
        }))
    }

    /// Waits until there is something behind `after`, and gives it in order, up to a size.
    pub async fn read(&self, after: i64, records_max: usize, bytes_max: u64) -> Result<Vec<Buffered>> {
        let lane = self.lane;
        let mut bell = self.firehose.bells.listen(self.stream);
        loop {
            bell.borrow_and_update();
            let read = move |connection: &Connection| buffer::routed(connection, lane, after, records_max, bytes_max);
            let records = self.firehose.store.run(read).await?;
            if !records.is_empty() {
                return Ok(records);
            }
            if bell.changed().await.is_err() {
                // The delivery stream was deleted.
                return std::future::pending().await;
            }
        }
    }

    /// Lets records up to that number go: the table has them.
    pub async fn delivered(&self, up_to: i64) -> Result<()> {
        let (stream, lane) = (self.stream, self.lane);
        self.firehose.store.run(move |connection| buffer::delivered(connection, stream, lane, up_to)).await
    }

    /// Keeps records for an error object. Keeping one again changes nothing.
    pub async fn refuse(&self, rejected: Vec<Rejected>) -> Result<()> {
        let (stream, prefix, now_ms) = (self.stream, self.error_prefix.clone(), self.firehose.ambient.now_ms());
        let refused = self.firehose.store.run(move |connection| {
            for record in rejected {
                let failure = Failure::new(Kind::Iceberg, record.code, record.message, &prefix);
                buffer::refuse(connection, stream, record.number, &failure, now_ms)?;
            }
            Ok(())
        });
        refused.await?;
        self.firehose.bells.ring(self.stream);
        Ok(())
    }

    /// Keeps the records that arrived up to `arrived_ms` for an error object: their table is missing, and was for as long
    /// as they are tried. Nobody may be delivering them.
    pub async fn give_up(&self, arrived_ms: i64) -> Result<()> {
        let name = format!("{}.{}", self.settings.database, self.settings.table);
        let message = format!("Table {name} is not there");
        let failure = Failure::new(Kind::Iceberg, "Iceberg.NoSuchTable", message, &self.error_prefix);
        let (stream, lane, now_ms) = (self.stream, self.lane, self.firehose.ambient.now_ms());
        loop {
            let failure = failure.clone();
            let give_up =
                move |connection: &Connection| buffer::give_up(connection, stream, lane, arrived_ms, &failure, now_ms);
            let count = self.firehose.store.run(give_up).await?;
            if count > 0 {
                self.firehose.bells.ring(self.stream);
            }
            if count < buffer::GIVEN_UP_MAX {
                return Ok(());
            }
        }
    }

    /// Has the description of the delivery stream say what the delivery waits for.
    pub async fn report(&self, problem: Option<&str>) -> Result<()> {
        let name = format!("{}.{}", self.settings.database, self.settings.table);
        let (stream, problem) = (self.stream, problem.map(str::to_owned));
        self.firehose.store.run(move |connection| report(connection, stream, TABLE, &name, problem.as_deref())).await
    }
}

/// Keeps what a lane waits for; `None` where it waits for nothing.
pub(crate) fn report(
    connection: &Connection,
    stream: i64,
    kind: &str,
    name: &str,
    problem: Option<&str>,
) -> Result<()> {
    let sql = "SELECT 1 FROM lane WHERE stream = ? AND kind = ? AND name = ? AND problem IS ?";
    if connection.prepare_cached(sql)?.exists(params![stream, kind, name, problem])? {
        return Ok(());
    }
    let is_there = connection.prepare_cached("SELECT 1 FROM delivery_stream WHERE number = ?")?.exists([stream])?;
    if is_there && (problem.is_some() || kind == TABLE) {
        buffer::lane_number(connection, stream, kind, name)?;
    }
    let sql = "UPDATE lane SET problem = ? WHERE stream = ? AND kind = ? AND name = ?";
    connection.execute(sql, params![problem, stream, kind, name])?;
    Ok(())
}
