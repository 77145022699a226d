//! All of it at once, in short cases: commits, compaction, expiry, removal and sweep in an order drawn from a seed, while
//! the writer is killed and its key index is kept, lost or put back from an older day. The table is what a map in memory
//! is, at the head and at a snapshot of before that is kept.
//!
//! `DYNABERG_CASES` says how many cases, `DYNABERG_SEED` where they begin. A failure prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::{NullOrder, SortDirection, SortField, SortOrder, Transform, UnboundPartitionSpec};
use lake::maintain::Inventory;
use lake::maintain::compact::{self, CompactionPolicy, Outcome, Progress, Strategy, TableFiles};
use lake::maintain::expire::{self, Expired, SnapshotPolicy};
use lake::maintain::sweep::{self, SweepPolicy};
use lake::{ErrorKind, LakeTable, ScanCache, TableWriter};

use crate::simulation::Random;
use crate::support::world::{World, changes, foreign_compaction, read};

const CASES: u64 = 40;
const STEPS_MAX: u64 = 12;
const KEYS: u64 = 12;
const EXPIRY: SnapshotPolicy = SnapshotPolicy { snapshots_min: 2, age_max: Duration::from_secs(36 * 60 * 60) };
const SWEEP: SweepPolicy = SweepPolicy { unreferenced_days: 1, noncurrent_days: 1 };

type Rows = BTreeMap<String, i64>;

struct Case {
    world: World,
    random: Random,
    writer: TableWriter,
    policy: CompactionPolicy,
    readers: Arc<ScanCache>,
    inventory: Inventory,
    /// The checkpoint is the number of commits.
    commits: u64,
    rows: Rows,
    /// What each snapshot held when it was made.
    history: BTreeMap<i64, Rows>,
    /// A plan that gets older and older.
    planned: Option<TableFiles>,
    /// What is expired, and not removed yet.
    expired: Vec<Expired>,
    tally: Tally,
}

/// What cases came to, lest they stop doing anything.
#[derive(Debug, Default)]
struct Tally {
    commits: u64,
    compactions: u64,
    expired_snapshots: u64,
    removed_files: u64,
    swept_files: u64,
    kills: u64,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let sort_order = (random.below(3) == 0).then(|| {
            let (direction, null_order) = (SortDirection::Ascending, NullOrder::First);
            let field = SortField { source_id: 2, transform: Transform::Identity, direction, null_order };
            SortOrder::builder().with_order_id(1).with_sort_field(field).build_unbound().unwrap()
        });
        let spec = (random.below(4) == 0).then(|| {
            let spec = UnboundPartitionSpec::builder().add_partition_field(2, "n_500", Transform::Truncate(500));
            spec.unwrap().build()
        });
        // A file of a few rows has about a kilobyte: a small target gives several files.
        let target_file_bytes = [1 << 30, 1_500][random.below(2) as usize];
        let world = World::laid_out(spec, sort_order).await;
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        Self {
            world,
            random,
            writer,
            policy: CompactionPolicy { target_file_bytes, strategy: Strategy::Auto },
            readers: Arc::default(),
            inventory: Inventory::default(),
            commits: 0,
            rows: Rows::new(),
            history: BTreeMap::new(),
            planned: None,
            expired: Vec::new(),
            tally: Tally::default(),
        }
    }

    async fn step(&mut self) {
        match self.random.below(20) {
            0..=7 => self.commit().await,
            8..=10 => self.compact().await,
            11 | 12 => match self.planned.take() {
                None => self.planned = Some(self.load().await),
                Some(files) => self.run(&files).await,
            },
            13 | 14 => self.expire().await,
            15 => self.remove().await,
            16 => self.sweep().await,
            17 => self.world.double.meddle(&self.world.table, foreign_compaction),
            _ => self.kill().await,
        }
        self.world.clock.advance(Duration::from_secs(3600 * self.random.below(30)));
        self.remember().await;
    }

    async fn commit(&mut self) {
        let mut batch = BTreeMap::new();
        for _ in 0..1 + self.random.below(5) {
            let value = (self.random.below(4) > 0).then(|| self.random.below(1_000) as i64);
            batch.insert(format!("key {:02}", self.random.below(KEYS)), value);
        }
        let rows: Vec<(&str, i64)> = batch.iter().filter_map(|(id, n)| Some((id.as_str(), (*n)?))).collect();
        let deletes: Vec<&str> = batch.iter().filter(|(_, n)| n.is_none()).map(|(id, _)| id.as_str()).collect();
        let from = (self.commits > 0).then(|| self.commits.to_string());
        self.commits += 1;
        let to = self.commits.to_string();
        self.writer.commit(changes(&rows, &deletes), from.as_deref(), to.as_str()).await.unwrap();
        for (id, value) in batch {
            match value {
                Some(value) => self.rows.insert(id, value),
                None => self.rows.remove(&id),
            };
        }
        self.tally.commits += 1;
    }

    async fn load(&self) -> TableFiles {
        TableFiles::load(&self.world.catalog, &self.world.table).await.unwrap()
    }

    async fn compact(&mut self) {
        let files = self.load().await;
        if self.random.below(3) == 0 {
            let fault = self.random.fault();
            self.world.double.script([fault]);
        }
        self.run(&files).await;
        self.world.double.clear_script();
        self.world.double.release();
    }

    async fn run(&mut self, files: &TableFiles) {
        for task in compact::plan(files, &self.policy).unwrap().tasks {
            match compact::run(&self.world.catalog, files, &task, &Progress::default()).await {
                Ok(Outcome::Done(_)) => self.tally.compactions += 1,
                Ok(Outcome::GaveUp(_)) => {}
                Err(error) => assert_ne!(error.kind(), ErrorKind::Unexpected, "{error:?}"),
            }
        }
    }

    async fn expire(&mut self) {
        let (catalog, table) = (&self.world.catalog, &self.world.table);
        let expired = expire::run(catalog, table, &EXPIRY, &mut self.inventory).await.unwrap();
        self.tally.expired_snapshots += expired.snapshot_ids.len() as u64;
        self.expired.push(expired);
    }

    /// Removes what is expired, or dies while it does.
    async fn remove(&mut self) {
        for expired in std::mem::take(&mut self.expired) {
            let is_killed = self.random.below(3) == 0;
            self.world.objects.limit_deletes(is_killed.then(|| self.random.below(4) as usize));
            let (catalog, table) = (&self.world.catalog, &self.world.table);
            let removed = expire::remove(catalog, table, &expired, &self.readers, &mut self.inventory).await;
            assert!(is_killed || removed.is_ok(), "{removed:?}");
            self.tally.removed_files += removed.map_or(0, |removed| removed.files as u64);
            self.world.objects.limit_deletes(None);
        }
    }

    async fn sweep(&mut self) {
        let (catalog, table) = (&self.world.catalog, &self.world.table);
        let swept = sweep::run(catalog, table, &SWEEP, &self.readers, &mut self.inventory).await.unwrap();
        self.tally.swept_files += swept.files;
    }

    /// Another writer takes over: on the same machine, on a new one, or on one that was down for a while.
    async fn kill(&mut self) {
        let host = match self.random.below(4) {
            0 => format!("new {}", self.tally.kills),
            1 | 2 => "a".to_owned(),
            _ => "b".to_owned(),
        };
        // The index is locked as long as its writer lives.
        self.writer = self.world.writer("nobody").await;
        self.writer = self.world.writer(&host).await;
        let position = self.writer.take_over().await.unwrap();
        assert_eq!(position, (self.commits > 0).then(|| self.commits.to_string()));
        self.tally.kills += 1;
    }

    async fn remember(&mut self) {
        let table = self.world.load().await;
        for snapshot in table.metadata().snapshots() {
            self.history.entry(snapshot.snapshot_id()).or_insert_with(|| self.rows.clone());
        }
    }

    /// The head is the map, and one of the snapshots that are kept reads what it read when it was made.
    async fn check(&mut self) {
        let table = LakeTable::load(&self.world.catalog, &self.world.table, Arc::default()).await.unwrap();
        assert_eq!(read(&table).await.unwrap(), self.rows.clone().into_iter().collect::<Vec<_>>());
        let kept: Vec<i64> = table.table().metadata().snapshots().map(|snapshot| snapshot.snapshot_id()).collect();
        let id = kept[self.random.below(kept.len() as u64) as usize];
        let expected: Vec<_> = self.history[&id].clone().into_iter().collect();
        assert_eq!(read(&table.at_snapshot(id).unwrap()).await.unwrap(), expected, "snapshot {id}");
        self.world.check_history().await;
        self.world.check_positions().await;
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn no_maintenance_changes_a_row_whatever_it_is_mixed_with() {
    let (first, cases) = (number("DYNABERG_SEED", 0), number("DYNABERG_CASES", CASES));
    let mut tally = Tally::default();
    for seed in first..first + cases {
        println!("seed {seed}");
        let mut case = Case::new(seed).await;
        case.remember().await;
        for _ in 0..4 + case.random.below(STEPS_MAX - 3) {
            case.step().await;
        }
        case.check().await;
        tally.add(&case.tally);
    }
    println!("{tally:?}");
    if cases >= CASES {
        let all_happened = tally.compactions > 0 && tally.expired_snapshots > 0 && tally.removed_files > 0;
        assert!(all_happened && tally.kills > 0, "the cases hardly do anything: {tally:?}");
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.compactions += other.compactions;
        self.expired_snapshots += other.expired_snapshots;
        self.removed_files += other.removed_files;
        self.swept_files += other.swept_files;
        self.kills += other.kills;
    }
}
