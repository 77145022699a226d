//! Kinesis streams as the source of delivery streams: read shard by shard, as a pipeline reads them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use local_delivery::{Firehose, KinesisFeed};
use pipeline::{
    Checkpoint, KinesisSource, KinesisStreamApi, Polled, Result, Source as _, StartPosition, describe_kinesis_stream,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::source::buffer_error;
use crate::aws::Aws;

/// How soon a stream is read again after that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads the streams that delivery streams name, until `shutdown`.
pub async fn run(firehose: &Firehose, aws: &Aws, shutdown: &CancellationToken) {
    let mut running: HashMap<i64, CancellationToken> = HashMap::new();
    let (mut tasks, mut seen) = (JoinSet::new(), 0);
    loop {
        match firehose.kinesis_feeds().await {
            Err(failure) => error!(error = &failure as &dyn std::error::Error, "list the sources of delivery streams"),
            Ok(feeds) => {
                running.retain(|id, ended| {
                    let is_there = feeds.iter().any(|feed| feed.id() == *id);
                    if !is_there {
                        ended.cancel();
                    }
                    is_there
                });
                for feed in feeds {
                    running.entry(feed.id()).or_insert_with(|| {
                        let ended = shutdown.child_token();
                        tasks.spawn(run_one(feed, aws.clone(), ended.clone()));
                        ended
                    });
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = firehose.changed(&mut seen) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn run_one(feed: KinesisFeed, aws: Aws, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        // What was polled and not taken yet is polled again by the next run.
        if let Some(Err(failure)) = shutdown.run_until_cancelled(read(&feed, &aws)).await {
            warn!(delivery_stream = feed.stream_name, error = failure.report(), "the source is read again");
            shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }
}

/// Takes record after record together with the checkpoint behind it.
async fn read(feed: &KinesisFeed, aws: &Aws) -> Result<()> {
    let stream = describe_kinesis_stream(&aws.config, &feed.kinesis_stream_arn).await?;
    let text = feed.checkpoint().await.map_err(buffer_error)?;
    let mut checkpoint = match text {
        Some(text) => Checkpoint::from_text(&text)?,
        None => Checkpoint::of(stream.incarnation()),
    };
    let start = StartPosition::AtTimestamp(feed.start_ms);
    let api = Arc::new(KinesisStreamApi::new(&aws.config));
    let mut source = KinesisSource::new(api, &stream, start, aws.ambient());
    source.resume(&checkpoint).await?;
    loop {
        let Some(polled) = source.poll().await? else { return Ok(()) };
        if !polled.moves() {
            continue;
        }
        follow(&mut checkpoint, &polled);
        let records = polled.records.into_iter().map(|record| record.json).collect();
        feed.take(records, checkpoint.to_text()).await.map_err(buffer_error)?;
    }
}

fn follow(checkpoint: &mut Checkpoint, polled: &Polled) {
    polled.begun.iter().for_each(|shard| checkpoint.begin(shard));
    for record in &polled.records {
        // Parts of one number come together.
        if !checkpoint.covers(&record.position) {
            checkpoint.advance(&record.position);
        }
    }
    polled.gaps.iter().for_each(|gap| checkpoint.record_gap(gap.clone()));
    polled.ended.iter().for_each(|shard| checkpoint.end(shard));
    polled.forgotten.iter().for_each(|shard| checkpoint.forget(shard));
}
