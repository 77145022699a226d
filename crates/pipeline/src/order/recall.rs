//! Reads again what a checkpoint covers, so that its changes are known when they come again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::info;

use super::origin::{Origin, Reading};
use super::{Foreign, Order};
use crate::change::{RawRecord, ShardId};
use crate::checkpoint::{Checkpoint, ShardProgress, read_positions};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Start;
use crate::source::page::{Asker, Outcome};

/// How far before the table's moment records are read again: duplicates and disorder lie closer together than that.
const WINDOW_MS: i64 = 300_000;
/// Pages of one shard: more than this is not a shard but a loop.
const PAGES_MAX: usize = 1_000_000;

pub(super) async fn recall(order: &mut Order, checkpoint: &Checkpoint, complete_up_to_ms: Option<i64>) -> Result<()> {
    let mut from_ms = complete_up_to_ms.map_or(0, |complete_ms| complete_ms - WINDOW_MS);
    if let Some(handover) = checkpoint.handover() {
        from_ms = from_ms.min(handover.from_ms);
        let shards = read_positions(&handover.shards).unwrap_or_default();
        let mut foreign = Foreign { from_us: handover.from_ms * 1_000, ..Foreign::default() };
        let read = reread(order, &handover.incarnation, &shards, handover.from_ms, |_, origin| foreign.add(origin));
        let records = read.await?;
        info!(stream = handover.incarnation, records, "recalled what the stream before has given");
        order.foreign = Some(foreign);
    }
    let is_needed = !order.options.source_is_ordered || order.foreign.is_some();
    let shards: BTreeMap<_, _> = checkpoint.shards().map(|(id, progress)| (id.clone(), progress.clone())).collect();
    if is_needed && !shards.is_empty() {
        let read = reread(order, &checkpoint.incarnation, &shards, from_ms, |order, origin| {
            order.take(origin);
        });
        let records = read.await?;
        info!(records, "recalled the changes before the checkpoint");
    }
    Ok(())
}

/// Shows every change of `shards` up to their positions that arrived since `from_ms`. Gives how many there were.
async fn reread(
    order: &mut Order,
    incarnation: &str,
    shards: &BTreeMap<ShardId, ShardProgress>,
    from_ms: i64,
    mut each: impl FnMut(&mut Order, &Origin),
) -> Result<usize> {
    let stream = (order.options.streams)(incarnation).ok_or_else(|| {
        let message = format!("read stream {incarnation} again, which the table was filled from");
        Error::new(ErrorKind::Misconfigured, message)
    })?;
    let pages = Arc::new(Semaphore::new(1));
    let asker = Asker {
        api: stream.api,
        stream: stream.name.as_str().into(),
        ambient: order.options.ambient.clone(),
        pages,
        throttled: Arc::default(),
    };
    let mut count = 0;
    for (shard, progress) in shards {
        let is_covered = |record: &RawRecord| match progress {
            ShardProgress::Begun => false,
            ShardProgress::At(durable) => record.position.sequence_number <= *durable,
            ShardProgress::Ended => true,
        };
        if *progress == ShardProgress::Begun {
            continue;
        }
        let mut start = Start::AtTimestamp(from_ms);
        let mut iterator = None;
        for _ in 0..PAGES_MAX {
            let fetched = asker.clone().fetch(shard.clone(), start.clone(), iterator.take(), Duration::ZERO).await?;
            // What has expired cannot come again either.
            let Outcome::Page(page) = fetched.outcome else { break };
            let is_past = page.records.iter().any(|record| !is_covered(record));
            for record in page.records.iter().filter(|record| is_covered(record)) {
                let table = order.options.table.clone();
                if let Reading::Change(origin) = order.reader.read(&record.json, table.as_deref()) {
                    count += 1;
                    each(order, &origin);
                }
            }
            if let Some(last) = page.records.last() {
                start = Start::After(last.position.sequence_number.clone());
            }
            iterator = page.next;
            if is_past || page.reaches_tip || iterator.is_none() {
                break;
            }
        }
    }
    Ok(count)
}
