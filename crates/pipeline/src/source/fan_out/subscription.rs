//! One subscription to a shard, read ahead by a task of its own.

use std::time::Duration;

use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::types::{SubscribeToShardEvent, SubscribeToShardEventStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::change::{SequenceNumber, ShardId};
use crate::source::fan_out::Position;
use crate::source::kinesis_api::{expired, is_at, raw_records, read_sequence_number};
use crate::source::stream_api::{RecordPage, StreamError, StreamErrorKind};

/// Events that wait to be taken, of about a megabyte each; another one waits in the task.
const EVENTS_WAITING_MAX: usize = 1;

/// What waiting gave.
pub(super) enum Heard {
    Event {
        event: SubscribeToShardEvent,
        /// It was not there yet when it was asked for: it tells how the shard is now, not how it was.
        was_awaited: bool,
    },
    Nothing,
    /// The subscription is over, as each is after five minutes.
    End,
    Failure(StreamError),
}

pub(super) struct Subscription {
    /// The position behind what was taken.
    pub iterator: String,
    /// The record that has to come first.
    first: Option<SequenceNumber>,
    events: mpsc::Receiver<Arrival>,
    heard_at: Instant,
}

struct Arrival {
    outcome: Result<SubscribeToShardEvent, StreamError>,
    at: Instant,
    /// The connection had nothing when it was looked at.
    was_awaited: bool,
}

impl Subscription {
    pub(super) fn begin(answer: SubscribeToShardOutput, iterator: String, first: Option<SequenceNumber>) -> Self {
        let (arrivals, waiting) = mpsc::channel(EVENTS_WAITING_MAX);
        tokio::spawn(read_ahead(answer, arrivals));
        Self { iterator, first, events: waiting, heard_at: Instant::now() }
    }

    /// The next event, if it comes within `wait`. Cancel-safe.
    pub(super) async fn next(&mut self, wait: Duration) -> Heard {
        let (arrival, is_here) = match self.events.try_recv() {
            Ok(arrival) => (Some(arrival), true),
            Err(_) => match tokio::time::timeout(wait, self.events.recv()).await {
                Ok(arrival) => (arrival, false),
                Err(_) => return Heard::Nothing,
            },
        };
        let Some(Arrival { outcome, at, was_awaited }) = arrival else { return Heard::End };
        self.heard_at = at;
        match outcome {
            Ok(event) => Heard::Event { event, was_awaited: was_awaited && !is_here },
            Err(error) => Heard::Failure(error),
        }
    }

    /// How long ago the last event came that was taken.
    pub(super) fn silence(&self) -> Duration {
        self.heard_at.elapsed()
    }

    /// The page that an event is; `None` where the record that has to come first is still on its way.
    pub(super) fn take(
        &mut self,
        shard: &ShardId,
        event: SubscribeToShardEvent,
        was_awaited: bool,
    ) -> Result<Option<RecordPage>, StreamError> {
        let is_behind = event.millis_behind_latest() > 0;
        let is_end = !event.child_shards().is_empty();
        let mut records = Vec::new();
        for record in event.records() {
            let sequence_number = read_sequence_number(record.sequence_number())?;
            let data = record.data().as_ref().to_vec();
            records.extend(raw_records(shard, &sequence_number, data.into()));
        }
        if let Some(first) = &self.first {
            match records.first() {
                Some(record) if is_at(record, first) => records.retain(|record| !is_at(record, first)),
                None if is_behind => return Ok(None),
                _ => return Err(expired(first)),
            }
            self.first = None;
        }
        let next = match is_end {
            true => None,
            false => {
                let number = read_sequence_number(event.continuation_sequence_number())?;
                Some(Position::After(number).to_string())
            }
        };
        Ok(Some(RecordPage { records, next, reaches_tip: !is_behind && was_awaited }))
    }
}

/// Takes events from the connection as they come, until it ends or nobody wants them.
async fn read_ahead(mut answer: SubscribeToShardOutput, arrivals: mpsc::Sender<Arrival>) {
    loop {
        let mut next = std::pin::pin!(answer.event_stream.recv());
        let (received, was_awaited) = match futures::poll!(next.as_mut()) {
            std::task::Poll::Ready(received) => (received, false),
            std::task::Poll::Pending => tokio::select! {
                () = arrivals.closed() => return,
                received = next => (received, true),
            },
        };
        let outcome = match received {
            Ok(None) => return,
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => Ok(event),
            // Whatever a later version of the service tells besides.
            Ok(Some(_)) => continue,
            Err(error) => {
                let message = DisplayErrorContext(&error).to_string();
                Err(StreamError::new(StreamErrorKind::Transient, message))
            }
        };
        let is_last = outcome.is_err();
        let arrival = Arrival { outcome, at: Instant::now(), was_awaited };
        if arrivals.send(arrival).await.is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, Record};
    use aws_smithy_types::Blob;

    use super::*;

    fn subscription(first: Option<&str>) -> Subscription {
        let (_, events) = mpsc::channel(1);
        let first = first.and_then(SequenceNumber::parse);
        Subscription { iterator: String::new(), first, events, heard_at: Instant::now() }
    }

    fn event(numbers: &[&str], behind_ms: i64) -> SubscribeToShardEvent {
        let record = |number: &&str| {
            let record = Record::builder().sequence_number(*number).partition_key("k").data(Blob::new(b"{}"));
            record.build().unwrap()
        };
        SubscribeToShardEvent::builder()
            .set_records(Some(numbers.iter().map(record).collect()))
            .continuation_sequence_number("77")
            .millis_behind_latest(behind_ms)
            .build()
            .unwrap()
    }

    fn take(first: Option<&str>, event: SubscribeToShardEvent) -> Result<Option<RecordPage>, StreamError> {
        subscription(first).take(&ShardId::new("s"), event, true)
    }

    #[test]
    fn an_event_is_a_page_that_goes_on_behind_it() {
        let page = take(None, event(&["49", "50"], 0)).unwrap().unwrap();
        let read: Vec<_> = page.records.iter().map(|record| record.position.to_string()).collect();
        assert_eq!(read, ["s/49", "s/50"]);
        assert_eq!(page.next.as_deref(), Some("AFTER_SEQUENCE_NUMBER 77"));
        assert!(page.reaches_tip);
        assert!(!take(None, event(&["49"], 5)).unwrap().unwrap().reaches_tip);
    }

    #[test]
    fn an_event_that_lay_waiting_does_not_tell_how_the_shard_is_now() {
        let page = subscription(None).take(&ShardId::new("s"), event(&["49"], 0), false).unwrap().unwrap();
        assert!(!page.reaches_tip);
    }

    #[test]
    fn the_record_that_was_read_before_has_to_come_first() {
        assert_eq!(take(Some("49"), event(&["49", "50"], 0)).unwrap().unwrap().records.len(), 1);
        assert_eq!(take(Some("49"), event(&["50"], 0)).unwrap_err().kind, StreamErrorKind::Trimmed);
        assert_eq!(take(Some("49"), event(&[], 0)).unwrap_err().kind, StreamErrorKind::Trimmed);
        assert!(take(Some("49"), event(&[], 9)).unwrap().is_none(), "it may come with the next event");
    }

    #[test]
    fn the_event_that_names_children_is_the_last_of_its_shard() {
        let keys = HashKeyRange::builder().starting_hash_key("0").ending_hash_key("1").build().unwrap();
        let child = ChildShard::builder().shard_id("c").parent_shards("s").hash_key_range(keys).build().unwrap();
        let event = SubscribeToShardEvent::builder()
            .set_records(Some(Vec::new()))
            .continuation_sequence_number("77")
            .millis_behind_latest(0)
            .child_shards(child)
            .build()
            .unwrap();
        assert_eq!(take(None, event).unwrap().unwrap().next, None);
    }

    #[tokio::test]
    async fn nothing_an_event_and_the_end_are_told_apart() {
        let (arrivals, events) = mpsc::channel(1);
        let mut subscription = Subscription { events, ..subscription(None) };
        assert!(matches!(subscription.next(Duration::ZERO).await, Heard::Nothing));
        let arrival = Arrival { outcome: Ok(event(&[], 0)), at: Instant::now(), was_awaited: true };
        arrivals.send(arrival).await.ok().unwrap();
        let heard = subscription.next(Duration::ZERO).await;
        assert!(matches!(heard, Heard::Event { was_awaited: false, .. }), "it lay waiting");
        drop(arrivals);
        assert!(matches!(subscription.next(Duration::ZERO).await, Heard::End));
    }
}
