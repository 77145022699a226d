//! A DynamoDB stream in memory that fails as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use pipeline::{
    ListedShard, Position, RawRecord, RecordPage, SequenceNumber, ShardId, ShardPage, Start, StreamApi, StreamError,
    StreamErrorKind,
};

pub const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    DescribeStream,
    GetShardIterator,
    GetRecords,
}

/// Cheap to clone: a test writes to it while a source reads.
#[derive(Clone, Default)]
pub struct ScriptedStream {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    shards: Vec<SimulatedShard>,
    is_disabled: bool,
    /// Errors that the next calls of a kind answer with.
    faults: VecDeque<(Call, StreamErrorKind)>,
    /// Calls as they came, for tests that care how they were made.
    calls: Vec<String>,
    shards_per_page: usize,
    records_per_page: usize,
}

struct SimulatedShard {
    id: ShardId,
    parent: Option<ShardId>,
    is_closed: bool,
    is_listed: bool,
    records: Vec<u64>,
    /// Records up to this one were trimmed.
    trimmed: u64,
}

impl ScriptedStream {
    pub fn new() -> Self {
        let stream = Self::default();
        stream.with(|state| (state.shards_per_page, state.records_per_page) = (100, 1_000));
        stream
    }

    pub fn with_pages_of(shards: usize, records: usize) -> Self {
        let stream = Self::default();
        stream.with(|state| (state.shards_per_page, state.records_per_page) = (shards, records));
        stream
    }

    pub fn open(&self, id: &str, parent: Option<&str>) {
        let shard = SimulatedShard {
            id: ShardId::new(id),
            parent: parent.map(ShardId::new),
            is_closed: false,
            is_listed: true,
            records: Vec::new(),
            trimmed: 0,
        };
        self.with(|state| state.shards.push(shard));
    }

    pub fn put(&self, id: &str, sequence_numbers: impl IntoIterator<Item = u64>) {
        self.shard(id, |shard| shard.records.extend(sequence_numbers));
    }

    pub fn close(&self, id: &str) {
        self.shard(id, |shard| shard.is_closed = true);
    }

    /// Takes the records up to `sequence_number` out of the stream.
    pub fn trim(&self, id: &str, sequence_number: u64) {
        self.shard(id, |shard| {
            shard.records.retain(|record| *record > sequence_number);
            shard.trimmed = sequence_number;
        });
    }

    pub fn set_listed(&self, id: &str, is_listed: bool) {
        self.shard(id, |shard| shard.is_listed = is_listed);
    }

    pub fn disable(&self) {
        self.with(|state| {
            state.is_disabled = true;
            state.shards.iter_mut().for_each(|shard| shard.is_closed = true);
        });
    }

    /// Lets the next calls of a kind fail.
    pub fn fail(&self, call: Call, kinds: impl IntoIterator<Item = StreamErrorKind>) {
        self.with(|state| state.faults.extend(kinds.into_iter().map(|kind| (call, kind))));
    }

    /// Takes back the faults that have not happened yet.
    pub fn heal(&self) {
        self.with(|state| state.faults.clear());
    }

    pub fn calls(&self) -> Vec<String> {
        self.with(|state| state.calls.clone())
    }

    fn shard<T>(&self, id: &str, change: impl FnOnce(&mut SimulatedShard) -> T) -> T {
        self.with(|state| change(state.shards.iter_mut().find(|shard| shard.id.as_str() == id).expect("it was opened")))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

impl State {
    /// Notes the call, and gives the error that was scripted for it.
    fn answer(&mut self, call: Call, argument: &str) -> Result<(), StreamError> {
        self.calls.push(format!("{call:?} {argument}"));
        let Some(scripted) = self.faults.iter().position(|(failing, _)| *failing == call) else { return Ok(()) };
        let (_, kind) = self.faults.remove(scripted).expect("it was found");
        Err(StreamError::new(kind, "scripted"))
    }

    fn find(&self, id: &ShardId) -> Result<&SimulatedShard, StreamError> {
        let found = self.shards.iter().find(|shard| shard.id == *id);
        found.ok_or_else(|| StreamError::new(StreamErrorKind::NotFound, "no such shard"))
    }
}

#[async_trait]
impl StreamApi for ScriptedStream {
    async fn describe_stream(&self, _stream: &str, after: Option<&ShardId>) -> Result<ShardPage, StreamError> {
        self.with(|state| {
            state.answer(Call::DescribeStream, after.map_or("", ShardId::as_str))?;
            let listed: Vec<_> = state.shards.iter().filter(|shard| shard.is_listed).collect();
            let skipped = listed.iter().position(|shard| Some(&shard.id) == after).map_or(0, |index| index + 1);
            let page = &listed[skipped..listed.len().min(skipped + state.shards_per_page)];
            let is_last = skipped + page.len() == listed.len();
            let shards = page.iter().map(|shard| ListedShard {
                id: shard.id.clone(),
                parents: shard.parent.iter().cloned().collect(),
                is_closed: shard.is_closed,
            });
            Ok(ShardPage {
                shards: shards.collect(),
                last: page.last().filter(|_| !is_last).map(|shard| shard.id.clone()),
                is_disabled: state.is_disabled,
            })
        })
    }

    async fn get_shard_iterator(&self, _stream: &str, shard: &ShardId, start: &Start) -> Result<String, StreamError> {
        self.with(|state| {
            state.answer(Call::GetShardIterator, &format!("{shard} {start:?}"))?;
            let found = state.find(shard)?;
            Ok(match start {
                Start::TrimHorizon | Start::AtTimestamp(_) => found.trimmed,
                Start::Latest => found.records.last().copied().unwrap_or(found.trimmed),
                Start::After(sequence_number) => sequence_number.as_str().parse().unwrap(),
            }
            .to_string())
        })
    }

    /// The iterator is the last sequence number that was read.
    async fn get_records(&self, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError> {
        self.with(|state| {
            state.answer(Call::GetRecords, &format!("{shard} {iterator}"))?;
            let found = state.find(shard)?;
            let after: u64 = iterator.parse().unwrap();
            if after < found.trimmed {
                return Err(StreamError::new(StreamErrorKind::Trimmed, "scripted"));
            }
            let left: Vec<_> = found.records.iter().copied().filter(|record| *record > after).collect();
            let page = &left[..left.len().min(state.records_per_page)];
            let is_end = found.is_closed && page.len() == left.len();
            Ok(RecordPage {
                records: page.iter().map(|number| record(shard, *number)).collect(),
                reaches_tip: page.len() == left.len(),
                next: (!is_end).then(|| page.last().copied().unwrap_or(after).to_string()),
            })
        })
    }
}

fn record(shard: &ShardId, number: u64) -> RawRecord {
    let sequence_number = SequenceNumber::parse(&number.to_string()).unwrap();
    RawRecord { position: Position { shard: shard.clone(), sequence_number, part: 0 }, json: Bytes::from_static(b"{}") }
}
