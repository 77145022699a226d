//! A pipeline from a list of changes into a table in memory.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use pipeline::{Delivery, Desk, Mode, Patience, Pipeline, Result, Retries, Status, supervise};
use tokio_util::sync::CancellationToken;

use crate::support::memory_sink::MemoryTable;
use crate::support::vec_source::{Entry, VecSource};

/// Cheap to clone.
#[derive(Clone)]
pub struct World {
    pub source: VecSource,
    pub table: MemoryTable,
    pub mode: Mode,
    /// Whether the table takes small values only.
    pub is_narrow: bool,
    pub delivery: Delivery,
    pub status: Arc<Status>,
    pub desk: Arc<Desk>,
    pub retries: Option<Retries>,
    pub ambient: Ambient,
    pub shutdown: CancellationToken,
}

impl World {
    pub fn new(entries: impl Into<Vec<Entry>>) -> Self {
        let ambient = super::ambient(1);
        Self {
            source: VecSource::new(entries, &ambient),
            table: MemoryTable::default(),
            mode: Mode::Mirror,
            is_narrow: false,
            delivery: Delivery { interval: Duration::from_secs(10), size_bytes: usize::MAX, records_max: usize::MAX },
            status: Arc::default(),
            desk: Arc::default(),
            retries: None,
            ambient,
            shutdown: CancellationToken::new(),
        }
    }

    pub fn pipeline(&self) -> Pipeline {
        let sink = if self.is_narrow { self.table.narrow_sink(self.mode) } else { self.table.sink(self.mode) };
        Pipeline {
            order: None,
            source: Box::new(self.source.clone()),
            sql: None,
            lambda: None,
            sink: Box::new(sink),
            dead_letters: Box::new(self.table.dead_letters()),
            desk: self.desk.clone(),
            retries: self.retries,
            delivery: self.delivery.clone(),
            accounts: self.status.accounts().clone(),
            ambient: self.ambient.clone(),
        }
    }

    /// Runs once, to the end of the source or an error.
    pub async fn run(&self) -> Result<()> {
        self.pipeline().run(&self.shutdown).await
    }

    /// Runs under a supervisor until the end of the stream is in the table, or for good.
    pub async fn supervise(&self) -> Result<()> {
        let open = || async { Ok(self.pipeline()) };
        let supervised = supervise("orders", open, Patience::Stop, &self.ambient, &self.shutdown, &self.status);
        let caught_up = async {
            while self.status.accounts().snapshot().complete_up_to.is_none() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.shutdown.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = supervised => ended,
            () = caught_up => unreachable!("it stays pending"),
        }
    }
}
