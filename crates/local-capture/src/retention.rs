//! What time does to shards: they are closed at a certain age, their records are trimmed, then they are forgotten.

use crate::CaptureOptions;
use crate::shard_log::stream::{Shard, Stream, StreamStatus};
use crate::shard_log::{LogError, ShardLog};

/// Records removed by one edit; the next call goes on.
const TRIM_RECORDS_MAX: usize = 10_000;

/// Does what is due at `now_ms` and returns when the next thing will be.
pub(crate) fn rotate_and_trim(log: &ShardLog, options: &CaptureOptions, now_ms: i64) -> Result<i64, LogError> {
    let rotation_ms = millis(options.shard_rotation);
    let retention_ms = millis(options.retention);
    let mut edit = log.edit();
    let streams: Vec<u64> = edit.catalog.streams.keys().copied().collect();
    for id in streams {
        let mut stream = (*edit.catalog.streams[&id]).clone();
        let mut is_changed = stream.rotate(now_ms, rotation_ms);
        let horizon_ms = now_ms - retention_ms;
        for shard in stream.shards.values_mut() {
            if shard.oldest_ms.is_none_or(|oldest| oldest > horizon_ms) {
                continue;
            }
            edit.removed_records.extend(trim(log, id, shard, horizon_ms)?);
            is_changed = true;
        }
        for index in expired_shards(&stream, horizon_ms) {
            stream.shards.remove(&index);
            edit.removed_shards.push((id, index));
            is_changed = true;
        }
        if is_forgotten(&stream, horizon_ms) {
            edit.remove(id);
        } else if is_changed {
            edit.insert(stream);
        }
    }
    let next = edit.catalog.streams.values().filter_map(|stream| next_duty(stream, rotation_ms, retention_ms)).min();
    if !edit.is_empty() {
        log.commit(edit)?;
    }
    Ok(next.unwrap_or(i64::MAX))
}

/// Takes the records that arrived up to `horizon_ms` out of the shard and returns their keys.
fn trim(log: &ShardLog, stream: u64, shard: &mut Shard, horizon_ms: i64) -> Result<Vec<Vec<u8>>, LogError> {
    let mut keys = Vec::new();
    let mut trimmed = shard.trimmed;
    let mut oldest_ms = None;
    log.visit_oldest(stream, shard, |key, sequence, arrival_ms| {
        if arrival_ms > horizon_ms || keys.len() == TRIM_RECORDS_MAX {
            oldest_ms = Some(arrival_ms);
            return false;
        }
        keys.push(key.to_vec());
        trimmed = Some(sequence);
        true
    })?;
    shard.trimmed = trimmed;
    shard.oldest_ms = oldest_ms;
    Ok(keys)
}

fn expired_shards(stream: &Stream, horizon_ms: i64) -> Vec<u32> {
    let is_expired =
        |shard: &&Shard| shard.oldest_ms.is_none() && shard.closed.is_some_and(|closed| closed.at_ms <= horizon_ms);
    stream.shards.values().filter(is_expired).map(|shard| shard.index).collect()
}

fn is_forgotten(stream: &Stream, horizon_ms: i64) -> bool {
    match stream.status {
        StreamStatus::Disabled { at_ms } => at_ms <= horizon_ms && stream.shards.is_empty(),
        StreamStatus::Enabling | StreamStatus::Enabled => false,
    }
}

fn next_duty(stream: &Stream, rotation_ms: i64, retention_ms: i64) -> Option<i64> {
    let of_shard = |shard: &Shard| {
        let rotates = shard.is_open().then(|| shard.opened_ms.saturating_add(rotation_ms));
        let expires = shard.closed.map(|closed| closed.at_ms.saturating_add(retention_ms));
        let trims = shard.oldest_ms.map(|oldest| oldest.saturating_add(retention_ms));
        [rotates, trims.or(expires)].into_iter().flatten().min()
    };
    stream.shards.values().filter_map(of_shard).min()
}

pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
