use super::*;
use crate::kinesis::stream::{Stream, StreamMode};

const NOW_MS: u64 = 1_795_331_536_123;
const RECORD_BYTES: usize = 1_024;
const BATCHES: u64 = 40;
const BATCH_RECORDS: u64 = 500;

fn open(folder: &Path) -> KinesisLog {
    KinesisLog::open(folder, ambient::Ambient::fixed(NOW_MS), false).unwrap()
}

/// The data of a record, its number again and again. The store compresses nothing.
fn data_of(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(RECORD_BYTES / 8)
}

fn batch(number: u64) -> Vec<NewRecord> {
    let numbers = number * BATCH_RECORDS..(number + 1) * BATCH_RECORDS;
    numbers.map(|number| NewRecord::new(0, "k", &data_of(number))).collect()
}

/// What the files take, holes apart.
fn bytes_on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let of = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_on_disk(&entry.path()),
        metadata => metadata.blocks() * 512,
    };
    std::fs::read_dir(folder).unwrap().map(|entry| of(entry.unwrap())).sum()
}

/// What the records hold, by the number that each begins with.
fn numbers(log: &KinesisLog) -> Vec<u64> {
    let catalog = log.catalog();
    let stream = &catalog.streams[&1];
    let page = log.read(stream, &stream.shards[&0], 0, usize::MAX, usize::MAX).unwrap();
    let number = |record: &Stored| u64::from_le_bytes(*record::data_of(&record.value).first_chunk().unwrap());
    page.records.iter().map(number).collect()
}

async fn put(log: &KinesisLog, number: u64) {
    assert!(log.append(1, batch(number)).await.iter().all(Result::is_ok));
}

/// Has the log tidy up until that has happened. How often depends on tables being merged behind our back.
async fn settle(folder: &Path, log: &KinesisLog, kept: u64) {
    for _ in 0..500 {
        log.settle();
        // An edit comes after it, so that it is done.
        log.edit(|_| Ok(())).await.unwrap();
        if bytes_on_disk(folder) * 10 <= kept * 12 {
            return;
        }
    }
    panic!("{} bytes for {kept}", bytes_on_disk(folder));
}

#[tokio::test]
async fn a_log_that_became_quiet_takes_hardly_more_than_its_records_and_keeps_what_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    log.edit(|draft| {
        draft.insert(Stream::new(1, "s".to_owned(), StreamMode::Provisioned, 1, NOW_MS as i64));
        Ok(())
    })
    .await
    .unwrap();
    let mut next = 0;
    for _ in 0..2 {
        for number in next..next + BATCHES {
            put(&log, number).await;
        }
        next += BATCHES;
        settle(folder.path(), &log, next * BATCH_RECORDS * RECORD_BYTES as u64).await;
        put(&log, next).await;
        next += 1;
        let expected: Vec<u64> = (0..next * BATCH_RECORDS).collect();
        assert!(numbers(&log) == expected, "{} of {}", numbers(&log).len(), expected.len());
        // Nothing but the files is left, as after a kill.
        drop(log);
        log = open(folder.path());
        assert!(numbers(&log) == expected, "{} of {}", numbers(&log).len(), expected.len());
    }
}
