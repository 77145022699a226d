use super::*;
use crate::kinesis::stream::{Stream, StreamMode};

const NOW_MS: u64 = 1_795_331_536_123;
const RECORD_BYTES: usize = 1_024;
const BATCHES: u64 = 40;
const BATCH_RECORDS: u64 = 500;

fn open(folder: &Path) -> KinesisLog {
    KinesisLog::open(folder, ambient::Ambient::fixed(NOW_MS), false).unwrap()
}

/// Nothing that could be made smaller.
fn noise(seed: u64) -> Vec<u8> {
    let word = |at: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&at.to_le_bytes(), seed).to_le_bytes();
    (0..RECORD_BYTES as u64 / 8).flat_map(word).collect()
}

fn batch(number: u64) -> Vec<NewRecord> {
    let record = |at| NewRecord::new(0, "k", &noise(number * BATCH_RECORDS + at));
    (0..BATCH_RECORDS).map(record).collect()
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

fn data(log: &KinesisLog) -> Vec<Vec<u8>> {
    let catalog = log.catalog();
    let stream = &catalog.streams[&1];
    let page = log.read(stream, &stream.shards[&0], 0, usize::MAX, usize::MAX).unwrap();
    page.records.iter().map(|record| record::data_of(&record.value).to_vec()).collect()
}

#[tokio::test]
async fn a_log_that_became_quiet_takes_hardly_more_than_its_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    log.edit(|draft| {
        draft.insert(Stream::new(1, "s".to_owned(), StreamMode::Provisioned, 1, NOW_MS as i64));
        Ok(())
    })
    .await
    .unwrap();
    let mut put = Vec::new();
    for number in 0..BATCHES {
        assert!(log.append(1, batch(number)).await.iter().all(Result::is_ok));
        put.extend((0..BATCH_RECORDS).map(|at| noise(number * BATCH_RECORDS + at)));
    }
    // The first one notices that something was put since the one before.
    log.settle().await;
    log.settle().await;
    assert!(log.append(1, vec![NewRecord::new(0, "k", b"after it")]).await[0].is_ok());
    put.push(b"after it".to_vec());

    let kept = (BATCHES * BATCH_RECORDS) * RECORD_BYTES as u64;
    let taken = bytes_on_disk(folder.path());
    assert!(taken * 10 <= kept * 12, "{taken} bytes for {kept}");
    assert_eq!(data(&log), put);
    drop(log);
    assert_eq!(data(&open(folder.path())), put);
}
