//! The DynamoDB Streams source against a stream that fails as it is told.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use pipeline::{
    Checkpoint, DynamoDbStreamsSource, ErrorKind, Gap, ShardId, ShardProgress, Source, StartPosition, StreamErrorKind,
};

use crate::support::scripted_stream::{Call, STREAM, ScriptedStream};
use crate::support::{Reader, ambient};

fn source(stream: &ScriptedStream, start: StartPosition, ambient: &Ambient) -> DynamoDbStreamsSource {
    DynamoDbStreamsSource::new(Arc::new(stream.clone()), STREAM, start, ambient.clone())
}

async fn resumed(stream: &ScriptedStream, checkpoint: &Checkpoint, ambient: &Ambient) -> DynamoDbStreamsSource {
    let mut source = source(stream, StartPosition::TrimHorizon, ambient);
    source.resume(checkpoint).await.unwrap();
    source
}

/// What a source reads of `stream` from `shards` on.
async fn read(stream: &ScriptedStream, shards: &str) -> Reader {
    let ambient = ambient(1);
    let text = format!(r#"{{"incarnation":"{STREAM}","shards":{shards}}}"#);
    let checkpoint = Checkpoint::from_text(&text).unwrap();
    let mut reader = Reader { checkpoint, ..Reader::default() };
    let mut source = resumed(stream, &reader.checkpoint, &ambient).await;
    reader.read_all(&mut source, &ambient).await;
    reader
}

#[tokio::test(start_paused = true)]
async fn a_child_is_read_after_the_last_record_of_its_parent() {
    let stream = ScriptedStream::with_pages_of(100, 2);
    stream.open("a", None);
    stream.open("b", Some("a"));
    stream.put("a", [1, 2, 3, 4, 5]);
    stream.put("b", [6]);
    stream.close("a");
    let reader = read(&stream, "{}").await;
    assert_eq!(reader.read, ["a/1", "a/2", "a/3", "a/4", "a/5", "b/6"]);
    assert_eq!(reader.checkpoint.progress(&ShardId::new("a")), Some(&ShardProgress::Ended));
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_after_the_checkpoint() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.put("a", [1, 2, 3]);
    assert_eq!(read(&stream, r#"{"a":"2"}"#).await.read, ["a/3"]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_iterator_is_replaced_by_one_after_the_last_record_read() {
    let stream = ScriptedStream::with_pages_of(100, 1);
    stream.open("a", None);
    stream.put("a", [1, 2]);
    let ambient = ambient(1);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient).await;
    let mut reader = Reader::default();
    while reader.read.is_empty() {
        reader.take(source.poll().await.unwrap().unwrap());
    }
    stream.fail(Call::GetRecords, [StreamErrorKind::ExpiredIterator]);
    reader.read_all(&mut source, &ambient).await;
    assert_eq!(reader.read, ["a/1", "a/2"]);
    assert!(stream.calls().iter().any(|call| call.starts_with("GetShardIterator a After")), "{:?}", stream.calls());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_shard_is_asked_again_later_however_often() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.put("a", [1]);
    for call in [Call::DescribeStream, Call::GetShardIterator, Call::GetRecords] {
        stream.fail(call, [StreamErrorKind::Throttled; 30]);
    }
    let started = tokio::time::Instant::now();
    assert_eq!(read(&stream, "{}").await.read, ["a/1"]);
    assert!(started.elapsed() > Duration::from_secs(60), "it backs off");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_failing_ends_the_run_as_transient() {
    let stream = ScriptedStream::new();
    stream.fail(Call::DescribeStream, [StreamErrorKind::Transient; 10]);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient(1)).await;
    assert_eq!(source.poll().await.unwrap_err().kind(), ErrorKind::Transient);
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_listing_that_were_read_are_kept_when_a_later_one_fails() {
    let stream = ScriptedStream::with_pages_of(2, 1_000);
    for shard in ["a", "b", "c", "d", "e"] {
        stream.open(shard, None);
        stream.put(shard, [1]);
    }
    let ambient = ambient(1);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient).await;
    stream.fail(Call::DescribeStream, [StreamErrorKind::Throttled, StreamErrorKind::Transient]);
    let mut reader = Reader::default();
    reader.read_all(&mut source, &ambient).await;
    reader.read.sort();
    assert_eq!(reader.read, ["a/1", "b/1", "c/1", "d/1", "e/1"]);
    let pages: Vec<_> = stream.calls().into_iter().filter(|call| call.starts_with("DescribeStream")).collect();
    assert_eq!(pages[..5], ["", "", "", "b", "d"].map(|after| format!("DescribeStream {after}")));
}

#[tokio::test(start_paused = true)]
async fn a_trimmed_position_is_recorded_as_a_gap_and_reading_goes_on() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.put("a", [1, 2, 3, 4]);
    stream.trim("a", 3);
    let reader = read(&stream, r#"{"a":"1"}"#).await;
    assert_eq!(reader.read, ["a/4"]);
    assert_eq!(reader.checkpoint.gaps(), [Gap { shard: "a".into(), after: Some("1".into()) }]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_left_the_stream_unread_is_a_gap_and_its_child_is_read() {
    let stream = ScriptedStream::new();
    stream.open("b", Some("a"));
    stream.put("b", [5]);
    let reader = read(&stream, r#"{"a":"2"}"#).await;
    assert_eq!(reader.read, ["b/5"]);
    assert_eq!(reader.checkpoint.gaps(), [Gap { shard: "a".into(), after: Some("2".into()) }]);
    assert_eq!(reader.checkpoint.progress(&ShardId::new("a")), None, "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_one_listing_misses_is_still_read_first() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.open("b", Some("a"));
    stream.put("a", [1]);
    stream.put("b", [2]);
    stream.close("a");
    stream.set_listed("a", false);
    let ambient = ambient(1);
    let checkpoint = Checkpoint::of(STREAM);
    let mut source = resumed(&stream, &checkpoint, &ambient).await;
    let mut reader = Reader::default();
    reader.take(source.poll().await.unwrap().unwrap());
    stream.set_listed("a", true);
    reader.read_all(&mut source, &ambient).await;
    assert_eq!((reader.read, reader.checkpoint.gaps()), (vec!["a/1".to_owned(), "b/2".to_owned()], &[][..]));
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_dropped_lose_nothing() {
    let stream = ScriptedStream::with_pages_of(100, 3);
    stream.open("a", None);
    stream.put("a", 1..=50);
    let ambient = ambient(1);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient).await;
    let mut reader = Reader::default();
    while reader.read.len() < 50 {
        let polled = tokio::time::timeout(Duration::from_millis(1), source.poll()).await;
        if let Ok(polled) = polled {
            reader.take(polled.unwrap().unwrap());
        }
    }
    assert_eq!(reader.read, (1..=50).map(|number| format!("a/{number}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_complete_while_a_child_may_hold_what_was_written() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.open("b", Some("a"));
    stream.close("a");
    stream.set_listed("b", false);
    let ambient = ambient(1);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient).await;
    let mut reader = Reader::default();
    while reader.last.ended.is_empty() {
        reader.take(source.poll().await.unwrap().unwrap());
        assert_eq!(reader.last.complete_up_to, None);
    }
    stream.set_listed("b", true);
    stream.put("b", [1]);
    reader.read_all(&mut source, &ambient).await;
    assert_eq!(reader.read, ["b/1"]);
}

#[tokio::test(start_paused = true)]
async fn latest_begins_with_what_is_written_next() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.open("b", Some("a"));
    stream.put("a", [1]);
    stream.put("b", [2]);
    stream.close("a");
    let ambient = ambient(1);
    let mut source = source(&stream, StartPosition::Latest, &ambient);
    source.resume(&Checkpoint::default()).await.unwrap();
    let mut reader = Reader::default();
    reader.read_all(&mut source, &ambient).await;
    stream.put("b", [3]);
    reader.read_all(&mut source, &ambient).await;
    assert_eq!(reader.read, ["b/3"]);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_stream_has_an_end() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    stream.put("a", [1]);
    stream.disable();
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient(1)).await;
    let mut reader = Reader::default();
    while let Some(polled) = source.poll().await.unwrap() {
        reader.take(polled);
    }
    assert_eq!(reader.read, ["a/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_stream_is_a_question_to_the_operator() {
    let mut source = source(&ScriptedStream::new(), StartPosition::TrimHorizon, &ambient(1));
    let error = source.resume(&Checkpoint::of("arn:another")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("Try:"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_is_asked_at_least_once_and_at_most_five_times_a_second() {
    let stream = ScriptedStream::new();
    stream.open("a", None);
    let mut source = resumed(&stream, &Checkpoint::default(), &ambient(1)).await;
    let minute = async {
        loop {
            source.poll().await.unwrap();
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(60), minute).await;
    let asked = stream.calls().iter().filter(|call| call.starts_with("GetRecords")).count();
    assert!((60..=300).contains(&asked), "{asked}");
}
