//! Commits, tags, rewrites of others, expiries, removals that are cut short, sweeps and the passing of time, in an
//! order drawn from a seed. Whatever happens, a snapshot that is still in the table reads what it read when it was made,
//! and in the end nothing is left that no snapshot names. A failure prints its seed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableUpdate;
use lake::maintain::Inventory;
use lake::maintain::expire::{self, Expired, SnapshotPolicy};
use lake::maintain::sweep::{self, SweepPolicy};
use lake::{LakeTable, ScanCache, TableWriter};

use crate::support::foreign::{keys, named_keys, remove_data_files, tag};
use crate::support::memory_catalog::Fault;
use crate::support::world::{World, foreign_compaction, read, upserts};

const STEPS: usize = 40;
const SEEDS: u64 = 3;
const EXPIRY: SnapshotPolicy = SnapshotPolicy { snapshots_min: 1, age_max: Duration::from_secs(36 * 60 * 60) };
const SWEEP: SweepPolicy = SweepPolicy { unreferenced_days: 1, noncurrent_days: 1 };

struct Random(u64);

impl Random {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Lifetimes {
    world: World,
    writer: TableWriter,
    position: u64,
    random: Random,
    readers: Arc<ScanCache>,
    inventory: Inventory,
    /// What is expired, and not removed yet.
    expired: Vec<Expired>,
    /// What each snapshot read when it was made.
    rows: BTreeMap<i64, Vec<(String, i64)>>,
    /// A reader of some snapshot.
    reader: Option<LakeTable>,
}

impl Lifetimes {
    async fn new(seed: u64, is_mirror: bool) -> Self {
        let world = if is_mirror { World::mirror().await } else { World::changelog().await };
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        Self {
            world,
            writer,
            position: 0,
            random: Random(seed),
            readers: Arc::default(),
            inventory: Inventory::default(),
            expired: Vec::new(),
            rows: BTreeMap::new(),
            reader: None,
        }
    }

    async fn step(&mut self) {
        match self.random.below(18) {
            0..=4 => self.commit().await,
            5 | 6 => self.world.double.meddle(&self.world.table, foreign_compaction),
            7 => {
                let salt = self.random.below(3);
                let stays = |path: &str| !(path.bytes().map(u64::from).sum::<u64>() + salt).is_multiple_of(3);
                remove_data_files(&self.world, stays).await;
            }
            8 => self.tag().await,
            9 => self
                .world
                .double
                .meddle(&self.world.table, |_| vec![TableUpdate::RemoveSnapshotRef { ref_name: "q0".to_owned() }]),
            10 | 11 => self.world.clock.advance(Duration::from_secs(3600 * (1 + self.random.below(60)))),
            12 | 13 => self.expire().await,
            14 => self.remove().await,
            15 => self.sweep().await,
            _ => self.hold().await,
        }
        self.remember().await;
    }

    async fn commit(&mut self) {
        let from = (self.position > 0).then(|| self.position.to_string());
        self.position += 1;
        let ids: Vec<String> = (0..1 + self.random.below(3)).map(|_| format!("key {}", self.random.below(5))).collect();
        let rows: BTreeMap<&str, i64> = ids.iter().map(|id| (id.as_str(), self.position as i64)).collect();
        let rows: Vec<(&str, i64)> = rows.into_iter().collect();
        let to = self.position.to_string();
        self.writer.commit(upserts(&rows), from.as_deref(), to.as_str()).await.unwrap();
    }

    async fn tag(&mut self) {
        let table = self.world.load().await;
        let ids: Vec<i64> = table.metadata().snapshots().map(|snapshot| snapshot.snapshot_id()).collect();
        let id = ids[self.random.below(ids.len() as u64) as usize];
        let name = format!("q{}", self.random.below(2));
        self.world.double.meddle(&self.world.table, |_| vec![tag(&name, id)]);
    }

    /// Lets a reader hold on to one of the snapshots, and the one before it go.
    async fn hold(&mut self) {
        let table = LakeTable::load(&self.world.catalog, &self.world.table, self.readers.clone()).await.unwrap();
        let ids: Vec<i64> = table.table().metadata().snapshots().map(|snapshot| snapshot.snapshot_id()).collect();
        let id = ids[self.random.below(ids.len() as u64) as usize];
        self.reader = Some(table.at_snapshot(id).unwrap());
    }

    async fn expire(&mut self) {
        if self.random.below(3) == 0 {
            let faults = [Fault::Reject409, Fault::Reset, Fault::FailBefore503, Fault::NotSent];
            self.world.double.script([faults[self.random.below(4) as usize]]);
        }
        let expired = expire::run(&self.world.catalog, &self.world.table, &EXPIRY, &mut self.inventory).await;
        self.expired.push(expired.unwrap());
        self.world.double.clear_script();
    }

    /// Removes what is expired, or dies while it does.
    async fn remove(&mut self) {
        for expired in std::mem::take(&mut self.expired) {
            let is_killed = self.random.below(3) == 0;
            self.world.objects.limit_deletes(is_killed.then(|| self.random.below(4) as usize));
            let (catalog, table) = (&self.world.catalog, &self.world.table);
            let removed = expire::remove(catalog, table, &expired, &self.readers, &mut self.inventory).await;
            assert!(is_killed || removed.is_ok(), "{removed:?}");
            self.world.objects.limit_deletes(None);
        }
        self.check().await;
    }

    async fn sweep(&mut self) {
        let (catalog, table) = (&self.world.catalog, &self.world.table);
        sweep::run(catalog, table, &SWEEP, &self.readers, &mut self.inventory).await.unwrap();
        self.check().await;
    }

    /// Reads the snapshots that are new.
    async fn remember(&mut self) {
        let table = LakeTable::load(&self.world.catalog, &self.world.table, Arc::default()).await.unwrap();
        for snapshot in table.table().metadata().snapshots() {
            let id = snapshot.snapshot_id();
            if let Entry::Vacant(unread) = self.rows.entry(id) {
                unread.insert(read(&table.at_snapshot(id).unwrap()).await.unwrap());
            }
        }
    }

    /// Reads every snapshot of the table again, and the one that a reader holds on to.
    async fn check(&self) {
        let table = LakeTable::load(&self.world.catalog, &self.world.table, Arc::default()).await.unwrap();
        for snapshot in table.table().metadata().snapshots() {
            let id = snapshot.snapshot_id();
            assert_eq!(read(&table.at_snapshot(id).unwrap()).await.unwrap(), self.rows[&id], "snapshot {id}");
        }
        if let Some(reader) = &self.reader {
            let id = reader.snapshot().unwrap().snapshot_id();
            assert_eq!(read(reader).await.unwrap(), self.rows[&id], "snapshot {id}, which is being read");
        }
    }
}

async fn check(is_mirror: bool) {
    for seed in 0..SEEDS {
        println!("seed {seed}, mirror {is_mirror}");
        let mut lifetimes = Lifetimes::new(seed, is_mirror).await;
        lifetimes.remember().await;
        for _ in 0..STEPS {
            lifetimes.step().await;
        }
        lifetimes.reader = None;
        lifetimes.world.clock.advance_days(30);
        lifetimes.expire().await;
        lifetimes.sweep().await;
        let world = &lifetimes.world;
        assert_eq!(keys(world).await, named_keys(&world.load().await).await);
        let position = world.writer("b").await.take_over().await.unwrap();
        assert_eq!(
            position.unwrap_or_default(),
            if lifetimes.position > 0 { lifetimes.position.to_string() } else { String::new() }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_snapshot_of_a_changelog_reads_the_same_as_long_as_it_lives() {
    check(false).await;
}

#[tokio::test(start_paused = true)]
async fn every_snapshot_of_a_mirror_reads_the_same_as_long_as_it_lives() {
    check(true).await;
}
