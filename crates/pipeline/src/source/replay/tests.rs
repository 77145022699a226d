use std::io::Write;
use std::path::PathBuf;

use crate::checkpoint::Checkpoint;
use crate::error::{ErrorKind, Result};
use crate::source::Source;
use crate::source::replay::ReplaySource;

fn write(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The records after `checkpoint`, and the checkpoint behind them.
async fn replay(files: Vec<PathBuf>, mut checkpoint: Checkpoint) -> Result<(Vec<String>, Checkpoint)> {
    let mut source = ReplaySource::open(files)?;
    source.resume(&checkpoint).await?;
    checkpoint.incarnation = source.incarnation().to_owned();
    let mut records = Vec::new();
    while let Some(polled) = source.poll().await? {
        for record in polled.records {
            checkpoint.advance(&record.position);
            let text = String::from_utf8(record.json.to_vec()).unwrap();
            records.push(format!("{}:{text}", record.position.sequence_number));
        }
    }
    Ok((records, checkpoint))
}

#[tokio::test]
async fn plain_and_compressed_files_give_their_lines_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"{\"b\":1}\n\n{\"b\":2}").unwrap();
    let files = vec![
        write(&dir, "a.jsonl", b"{\"a\":1}\r\n{\"a\":2}\n"),
        write(&dir, "b.jsonl.gz", &gz.finish().unwrap()),
        write(&dir, "c.jsonl.zst", &zstd::encode_all(&b"{\"c\":1}\n"[..], 1).unwrap()),
        write(&dir, "empty.jsonl", b""),
    ];
    let (records, _) = replay(files, Checkpoint::default()).await.unwrap();
    assert_eq!(records, ["1:{\"a\":1}\r", "2:{\"a\":2}", "1:{\"b\":1}", "3:{\"b\":2}", "1:{\"c\":1}"]);
}

#[tokio::test]
async fn a_file_replayed_again_gives_only_what_was_added_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(70_000);
    let file = write(&dir, "a.jsonl", format!("{long}\ntwo\n").as_bytes());
    let (records, checkpoint) = replay(vec![file.clone()], Checkpoint::default()).await.unwrap();
    assert_eq!(records.len(), 2);
    let (records, checkpoint) = replay(vec![file.clone()], checkpoint).await.unwrap();
    assert_eq!(records, Vec::<String>::new());

    std::fs::write(&file, format!("{long}\ntwo\nthree\n")).unwrap();
    let (records, checkpoint) = replay(vec![file.clone()], checkpoint).await.unwrap();
    assert_eq!(records, ["3:three"]);

    let other = write(&dir, "b.jsonl", b"other\n");
    let (records, _) = replay(vec![file, other], checkpoint).await.unwrap();
    assert_eq!(records, ["1:other"]);
}

#[tokio::test]
async fn a_file_of_the_same_name_with_other_content_is_another_shard() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "a.jsonl", b"one\n");
    let (_, checkpoint) = replay(vec![file.clone()], Checkpoint::default()).await.unwrap();
    std::fs::write(&file, "another\n").unwrap();
    let (records, _) = replay(vec![file], checkpoint).await.unwrap();
    assert_eq!(records, ["1:another"]);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_said_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.jsonl");
    let error = replay(vec![missing], Checkpoint::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("missing.jsonl"));

    let file = write(&dir, "a.jsonl", b"one\n");
    let twice = replay(vec![file.clone(), file.clone()], Checkpoint::default()).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Misconfigured);

    let foreign = replay(vec![file], Checkpoint::of("arn:aws:dynamodb:stream")).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::Misconfigured);

    let damaged = write(&dir, "d.jsonl.gz", b"this is no gzip");
    let error = replay(vec![damaged], Checkpoint::default()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("read line 1 of {}", dir.path().join("d.jsonl.gz").display()));
}
