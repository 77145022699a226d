//! Any stream, any faults: every record once, and no shard before its ancestors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipeline::{Checkpoint, DynamoDbStreamsSource, Source, StartPosition, StreamErrorKind};
use proptest::prelude::*;

use crate::support::scripted_stream::{Call, STREAM, ScriptedStream};
use crate::support::{Random, Reader, ambient};

const FAULTS: [StreamErrorKind; 3] =
    [StreamErrorKind::Throttled, StreamErrorKind::Transient, StreamErrorKind::ExpiredIterator];

/// A stream that grows while it is read, and what must be read of it.
struct World {
    stream: ScriptedStream,
    random: Random,
    open: Vec<String>,
    parents: BTreeMap<String, String>,
    written: BTreeSet<String>,
    sequence_number: u64,
    shards: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let stream = ScriptedStream::with_pages_of(1 + random.below(4) as usize, 1 + random.below(5) as usize);
        let (parents, written) = Default::default();
        let mut world = Self { stream, random, open: Vec::new(), parents, written, sequence_number: 0, shards: 0 };
        for _ in 0..=world.random.below(3) {
            world.open_shard(None);
        }
        world
    }

    fn open_shard(&mut self, parent: Option<&str>) {
        self.shards += 1;
        let id = format!("s{:03}", self.shards);
        self.stream.open(&id, parent);
        self.parents.extend(parent.map(|parent| (id.clone(), parent.to_owned())));
        self.open.push(id);
    }

    /// Something happens to the stream, or goes wrong.
    fn step(&mut self) {
        let chosen = self.random.below(self.open.len() as u64) as usize;
        match self.random.below(10) {
            0..5 => {
                self.sequence_number += 1 + self.random.below(1_000);
                let shard = &self.open[chosen];
                self.stream.put(shard, [self.sequence_number]);
                self.written.insert(format!("{shard}/{}", self.sequence_number));
            }
            5..7 => {
                let parent = self.open.swap_remove(chosen);
                self.stream.close(&parent);
                for _ in 0..=self.random.below(2) {
                    self.open_shard(Some(&parent));
                }
            }
            7 => self.stream.fail(Call::DescribeStream, [FAULTS[self.random.below(2) as usize]]),
            8 => self.stream.fail(Call::GetShardIterator, [FAULTS[self.random.below(2) as usize]]),
            _ => self.stream.fail(Call::GetRecords, [FAULTS[self.random.below(3) as usize]]),
        }
    }

    fn check_order(&self, read: &[String]) {
        let shard_of = |position: &String| position.split('/').next().unwrap().to_owned();
        let mut last_read = BTreeMap::new();
        for (index, position) in read.iter().enumerate() {
            last_read.insert(shard_of(position), index);
        }
        for (index, position) in read.iter().enumerate() {
            let mut shard = shard_of(position);
            while let Some(parent) = self.parents.get(&shard) {
                assert!(
                    last_read.get(parent).is_none_or(|last| *last < index),
                    "{position} before the end of {parent}"
                );
                shard = parent.clone();
            }
        }
        let read_once: BTreeSet<_> = read.iter().cloned().collect();
        assert_eq!(read_once.len(), read.len(), "a record was read twice");
        assert_eq!(read_once, self.written);
    }
}

/// Reads while the world turns; now and then the reader is dropped and a new one resumes from its checkpoint.
async fn run(seed: u64) {
    let ambient = ambient(seed);
    let mut world = World::new(seed);
    let mut reader = Reader { checkpoint: Checkpoint::of(STREAM), ..Reader::default() };
    let new_source = |world: &World| {
        DynamoDbStreamsSource::new(Arc::new(world.stream.clone()), STREAM, StartPosition::TrimHorizon, ambient.clone())
    };
    let mut source = new_source(&world);
    source.resume(&reader.checkpoint).await.unwrap();
    for _ in 0..60 {
        world.step();
        if world.random.one_in(15) {
            source = new_source(&world);
            source.resume(&reader.checkpoint).await.unwrap();
        }
        for _ in 0..world.random.below(4) {
            match source.poll().await {
                Ok(polled) => reader.take(polled.unwrap()),
                Err(_) => {
                    source = new_source(&world);
                    source.resume(&reader.checkpoint).await.unwrap();
                }
            }
        }
    }
    world.stream.heal();
    source = new_source(&world);
    source.resume(&reader.checkpoint).await.unwrap();
    reader.read_all(&mut source, &ambient).await;
    world.check_order(&reader.read);
    assert_eq!(reader.checkpoint.gaps(), []);
    let stored = Checkpoint::from_text(&reader.checkpoint.to_text()).unwrap();
    assert_eq!(stored, reader.checkpoint);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_read_once_and_after_all_records_of_its_shards_ancestors(seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(seed));
    }
}
