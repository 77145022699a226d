//! Two workers, a catalog that loses, delays and refuses, foreign compaction and kills, in an order drawn from a seed.
//! Whatever happens, the table is the fold of the source's operations, each applied once. A failure prints its seed.

use std::collections::BTreeMap;
use std::time::Duration;

use lake::{ErrorKind, RowChanges, TableWriter};

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, changes, foreign_compaction, upserts};

const OPERATIONS: usize = 60;
const STEPS: usize = 40;
const SEEDS: u64 = 6;

pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub fn fault(&mut self) -> Fault {
        use Fault::*;
        let faults =
            [Reject409, FailBefore503, FailAfterWrite503, NotSent, Reset, Unreadable, Hold, Hold, ReleaseFirst];
        faults[self.below(faults.len() as u64) as usize]
    }
}

/// What happened to a key: its new number, or `None` for a delete.
type Operation = (String, Option<i64>);

struct Simulation {
    world: World,
    is_mirror: bool,
    random: Random,
    source: Vec<Operation>,
    /// At most one per host, with the position it is at.
    workers: [Option<(TableWriter, usize)>; 2],
}

impl Simulation {
    async fn new(seed: u64, is_mirror: bool) -> Self {
        let mut random = Random(seed);
        let source = (0..OPERATIONS).map(|number| match is_mirror {
            true => (format!("key {}", random.below(6)), (random.below(4) > 0).then_some(number as i64)),
            false => (format!("{number:03}"), Some(number as i64)),
        });
        let source = source.collect();
        let world = if is_mirror { World::mirror().await } else { World::changelog().await };
        Self { world, is_mirror, random, source, workers: [None, None] }
    }

    async fn step(&mut self) {
        let host = self.random.below(2) as usize;
        match self.random.below(20) {
            0 => self.workers[host] = None,
            1 | 2 if self.world.load().await.metadata().current_snapshot().is_some() => {
                self.world.double.meddle(&self.world.table, foreign_compaction);
            }
            3..=5 => drop(self.world.double.release()),
            _ => self.work(host).await,
        }
    }

    /// Lets a worker take over or commit, through faults, and perhaps kills it on the way.
    async fn work(&mut self, host: usize) {
        for _ in 0..self.random.below(4) {
            let fault = self.random.fault();
            self.world.double.script([fault]);
        }
        let patience = Duration::from_millis(50 << self.random.below(16));
        let worker = self.workers[host].take();
        let length = 1 + self.random.below(5) as usize;
        let done = tokio::time::timeout(patience, async {
            match worker {
                None => self.take_over(host).await,
                Some((writer, from)) => self.commit(writer, from, length).await,
            }
        });
        self.workers[host] = match done.await {
            Ok(Ok(worker)) => Some(worker),
            Ok(Err(error)) => {
                assert!(matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Transient), "{error:?}");
                None
            }
            Err(_killed) => None,
        };
        self.world.double.clear_script();
    }

    async fn take_over(&self, host: usize) -> lake::Result<(TableWriter, usize)> {
        let mut writer = self.world.try_writer(["a", "b"][host], "orders").await?;
        let position = writer.take_over().await?.map_or(0, |text| text.parse().unwrap());
        Ok((writer, position))
    }

    async fn commit(&self, mut writer: TableWriter, from: usize, length: usize) -> lake::Result<(TableWriter, usize)> {
        let to = self.source.len().min(from + length);
        if to > from {
            let from_text = (from > 0).then(|| from.to_string());
            writer.commit(self.batch(from, to), from_text.as_deref(), to.to_string().as_str()).await?;
        }
        Ok((writer, to))
    }

    fn batch(&self, from: usize, to: usize) -> RowChanges {
        let last: BTreeMap<&str, Option<i64>> =
            self.source[from..to].iter().map(|(key, number)| (key.as_str(), *number)).collect();
        let rows: Vec<_> = last.iter().filter_map(|(key, number)| number.map(|number| (*key, number))).collect();
        let deleted: Vec<_> = last.iter().filter(|(_, number)| number.is_none()).map(|(key, _)| *key).collect();
        if self.is_mirror { changes(&rows, &deleted) } else { upserts(&rows) }
    }

    /// The faults stop, and one healthy worker finishes.
    async fn finish(mut self) -> (World, Vec<(String, i64)>) {
        self.workers = [None, None];
        let (mut writer, mut position) = self.take_over(0).await.unwrap();
        self.world.double.release();
        while position < self.source.len() {
            (writer, position) = self.commit(writer, position, 7).await.unwrap();
        }
        let fold: BTreeMap<String, Option<i64>> = self.source.into_iter().collect();
        (self.world, fold.into_iter().filter_map(|(key, number)| Some((key, number?))).collect())
    }
}

async fn check(is_mirror: bool) {
    for seed in 0..SEEDS {
        println!("seed {seed}, mirror {is_mirror}");
        let mut simulation = Simulation::new(seed, is_mirror).await;
        for _ in 0..STEPS {
            simulation.step().await;
        }
        let (world, fold) = simulation.finish().await;
        assert_eq!(world.rows().await, fold);
        world.check_history().await;
        world.check_positions().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_is_in_a_changelog_once() {
    check(false).await;
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_the_fold_of_all_operations() {
    check(true).await;
}
