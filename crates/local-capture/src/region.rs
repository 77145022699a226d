//! The tables and streams of one account in one region: an item engine, its outbox, a shard log and a Kinesis log.

mod backups;
mod destinations;

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ambient::Ambient;
use dynoxide::{Database, DynoxideError};
use tokio::sync::RwLock;

use backups::Backups;
pub(crate) use backups::PointInTimeRecovery;

use crate::change_record::Change;
use crate::engine::{Engine, EngineThreads};
use crate::kinesis::Subscriptions;
use crate::kinesis::destination::{Destination, Faults, record_of};
use crate::kinesis::log::{KinesisLog, KinesisLogError};
use crate::outbox::Outbox;
use crate::shard_log::stream::{SEQUENCE_NUMBER_MIN, StreamStatus};
use crate::shard_log::{LogError, ShardLog};
use crate::{CaptureError, CaptureOptions, retention};

/// Rows that may lie in the outbox after they were drained: trimming is a write to the engine's file.
const UNTRIMMED_ROWS_MAX: usize = 200;

pub(crate) struct Region {
    pub(crate) account: String,
    pub(crate) name: String,
    pub(crate) options: CaptureOptions,
    pub(crate) ambient: Ambient,
    pub(crate) log: ShardLog,
    pub(crate) kinesis: KinesisLog,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) backups: Backups,
    engine: Arc<Engine>,
    outbox: Mutex<Outbox>,
    faults: Mutex<Faults>,
    /// Held by whoever drains or edits the log. Never taken while `gate` is awaited.
    writer: Arc<tokio::sync::Mutex<()>>,
    /// Writers of items share it; who creates, alters or deletes a table holds it alone.
    gate: Arc<RwLock<()>>,
    /// Writes that may have left rows in the outbox, and how many of them are drained.
    written: Arc<AtomicU64>,
    drained: AtomicU64,
    /// When the next shard is due to rotate or to be trimmed.
    next_duty_ms: AtomicI64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum DrainError {
    #[error("read the item engine's outbox")]
    Outbox(#[from] rusqlite::Error),
    #[error("ask the item engine: {0}")]
    Engine(#[from] DynoxideError),
    #[error("write the shard log")]
    Log(#[from] LogError),
    #[error("write the Kinesis log")]
    Kinesis(#[from] KinesisLogError),
    #[error("parse a change of table {table_name}")]
    Change { table_name: String, source: serde_json::Error },
    #[error("the drain was stopped")]
    Stopped,
}

impl Region {
    pub(crate) fn open(
        folder: &Path,
        account: &str,
        name: &str,
        options: CaptureOptions,
        ambient: Ambient,
        threads: EngineThreads,
    ) -> Result<Self, CaptureError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| CaptureError::of_io(folder, format!("make folder {}", folder.display()), source))?;
        let file = folder.join("items.sqlite");
        let engine = Arc::new(Engine::open(&file, threads)?);
        let log = ShardLog::open(&folder.join("shards")).map_err(|error| CaptureError::of_log(folder, &error))?;
        let outbox = Outbox::open(&file, log.catalog().drained);
        let outbox = outbox.map_err(|error| CaptureError::of_engine(folder, &error))?;
        let kinesis = KinesisLog::open(&folder.join("kinesis"), ambient.clone(), options.kinesis_throttling)
            .map_err(|error| CaptureError::of_log(folder, &error))?;
        let backups = Backups::open(folder)
            .map_err(|source| CaptureError::of_io(folder, format!("read settings in {}", folder.display()), source))?;
        let faults = Faults::new(options.kinesis_faults);
        let region = Self {
            kinesis,
            subscriptions: Subscriptions::default(),
            backups,
            account: account.to_owned(),
            name: name.to_owned(),
            options,
            ambient,
            log,
            engine,
            outbox: Mutex::new(outbox),
            faults: Mutex::new(faults),
            writer: Arc::default(),
            gate: Arc::default(),
            // What an earlier process left behind counts as one write.
            written: Arc::new(AtomicU64::new(1)),
            drained: AtomicU64::new(0),
            next_duty_ms: AtomicI64::new(i64::MIN),
        };
        Ok(region)
    }

    /// Brings streams in line with the tables: a crash may lie between the two stores' last writes.
    pub(crate) async fn settle(self: &Arc<Self>) -> Result<(), DrainError> {
        self.drain().await?;
        for stream in self.log.catalog().streams.values().filter(|stream| stream.is_writable()) {
            let table_name = stream.table_name.clone();
            let table = self.read(move |engine| engine.get_table_metadata(&table_name)).await?;
            let is_recording = |table: &dynoxide::TableMetadata| {
                table.stream_enabled && (stream.table_id.is_none() || stream.table_id == table.table_id)
            };
            let table = table.filter(is_recording);
            let (id, status, now_ms) = (stream.id, stream.status, self.ambient.now_ms());
            self.edit(move |edit| match (table, status) {
                (Some(_), StreamStatus::Enabled) => {}
                (Some(table), _) => {
                    if let Some(stream) = edit.change(id) {
                        stream.table_id = table.table_id;
                        stream.status = StreamStatus::Enabled;
                    }
                }
                (None, StreamStatus::Enabling) => edit.remove(id),
                (None, _) => {
                    if let Some(stream) = edit.change(id) {
                        stream.disable(now_ms);
                    }
                }
            })
            .await?;
        }
        self.settle_destinations().await
    }

    /// Runs a call that changes nothing.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Database) -> Result<T, DynoxideError> + Send + 'static,
    ) -> Result<T, DynoxideError> {
        self.engine.clone().run(call).await
    }

    /// Runs a call that may change items. Whoever reads a stream after it returned sees its changes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Database) -> Result<T, DynoxideError> + Send + 'static,
    ) -> Result<T, DynoxideError> {
        // Both go with the call, which is done even if the client hangs up meanwhile.
        let shared = self.gate.clone().read_owned().await;
        let written = self.written.clone();
        let call = move |engine: &Database| {
            let outcome = call(engine);
            // Failed calls too: a batch may have been written in part.
            written.fetch_add(1, Ordering::Release);
            drop(shared);
            outcome
        };
        self.engine.clone().run(call).await
    }

    /// Keeps all writers of items out while the returned guard lives.
    pub(crate) async fn stop_writers(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Moves every change that was acknowledged before this call into the shard log. Costs nothing where there is none.
    pub(crate) async fn drain(self: &Arc<Self>) -> Result<(), DrainError> {
        let written = self.written.load(Ordering::Acquire);
        let is_drained = || self.drained.load(Ordering::Acquire) >= written;
        if is_drained() && self.ambient.now_ms() < self.next_duty_ms.load(Ordering::Acquire) {
            return Ok(());
        }
        let writer = self.writer.clone().lock_owned().await;
        // Another caller may have done it while this one waited.
        let written = self.written.load(Ordering::Acquire);
        let region = self.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let _writer = writer;
            region.drain_outbox()?;
            region.drained.store(written, Ordering::Release);
            region.do_duties()
        });
        outcome.await.map_err(|_| DrainError::Stopped)?
    }

    /// Changes streams, alone and durably.
    pub(crate) async fn edit(
        self: &Arc<Self>,
        change: impl FnOnce(&mut crate::shard_log::catalog::Edit) + Send + 'static,
    ) -> Result<(), DrainError> {
        let writer = self.writer.clone().lock_owned().await;
        let region = self.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let _writer = writer;
            let mut edit = region.log.edit();
            change(&mut edit);
            if !edit.is_empty() {
                region.log.commit(edit)?;
            }
            region.next_duty_ms.store(i64::MIN, Ordering::Release);
            Ok(())
        });
        outcome.await.map_err(|_| DrainError::Stopped)?
    }

    /// Takes what is drained out of the outbox, however little it is.
    pub(crate) async fn trim_outbox(self: &Arc<Self>) -> Result<(), DrainError> {
        let region = self.clone();
        tokio::task::spawn_blocking(move || Ok(region.outbox().trim()?)).await.map_err(|_| DrainError::Stopped)?
    }

    fn drain_outbox(&self) -> Result<(), DrainError> {
        let retention_ms = retention::millis(self.options.retention);
        let mut outbox = self.outbox();
        loop {
            let mut edit = self.log.edit();
            let rows = outbox.read_after(edit.catalog.drained)?;
            let Some(last) = rows.last() else { return Ok(()) };
            edit.catalog.drained = last.id;
            let now_ms = self.ambient.now_ms();
            let kinesis = self.kinesis.catalog();
            let mut delivered = Vec::new();
            for row in &rows {
                let stream = edit.catalog.writable(&row.table_name).cloned();
                // What was delivered before a crash that kept it from being noted here is not delivered again.
                let takes = |destination: &&Destination| row.id > kinesis.drained && destination.takes(&row.table_name);
                let destinations: Vec<&Destination> = kinesis.destinations.iter().filter(takes).collect();
                if stream.is_none() && destinations.is_empty() {
                    continue;
                }
                let change = Change::read(row, stream.as_ref().and_then(|stream| stream.partition_key()))
                    .map_err(|source| DrainError::Change { table_name: row.table_name.clone(), source })?;
                let Some(change) = change else { continue };
                for destination in destinations {
                    let json = change.render_for_kinesis(&self.name, destination.precision);
                    delivered.push((destination.stream, record_of(&row.table_name, &row.keys, &json)));
                }
                let Some(stream) = stream else { continue };
                let drawn = SEQUENCE_NUMBER_MIN + u128::from(row.sequence.max(0).unsigned_abs());
                edit.append(stream.id, change.key_hash, drawn, now_ms, |sequence| {
                    change.render(&self.name, stream.view_type, sequence)
                });
            }
            if !delivered.is_empty() {
                let delivered = self.faults.lock().unwrap_or_else(PoisonError::into_inner).apply(delivered);
                self.kinesis.deliver(delivered, last.id)?;
            }
            self.log.commit(edit)?;
            self.next_duty_ms.fetch_min(now_ms.saturating_add(retention_ms), Ordering::AcqRel);
            outbox.note_drained(&rows);
            // Only now, as a record must be in one of the two at every moment.
            if outbox.untrimmed() >= UNTRIMMED_ROWS_MAX
                && let Err(error) = outbox.trim()
            {
                // The records are safe and can be read; the next drain tries again.
                tracing::warn!(region = self.name, %error, "outbox not trimmed");
            }
        }
    }

    fn do_duties(&self) -> Result<(), DrainError> {
        let now_ms = self.ambient.now_ms();
        if now_ms < self.next_duty_ms.load(Ordering::Acquire) {
            return Ok(());
        }
        let next = retention::rotate_and_trim(&self.log, &self.options, now_ms)?;
        self.next_duty_ms.store(next, Ordering::Release);
        Ok(())
    }

    fn outbox(&self) -> std::sync::MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
