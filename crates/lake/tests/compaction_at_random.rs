//! Commits and compactions in an order drawn from a seed, over a catalog that loses, delays and refuses: the table is what
//! a map in memory is. A failure prints its seed.

use std::collections::BTreeMap;

use iceberg::spec::{NullOrder, SortDirection, SortField, SortOrder, Transform, UnboundPartitionSpec};
use lake::maintain::compact::{self, CompactionPolicy, Outcome, Progress, Strategy, TableFiles};
use lake::{ErrorKind, TableWriter};

use crate::compaction::rows_at;
use crate::simulation::Random;
use crate::support::memory_catalog::Fault;
use crate::support::world::{World, changes};

const SEEDS: u64 = 8;
const STEPS: usize = 24;
const KEYS: u64 = 40;
/// Enough rows for a row group that can be copied.
const BULK_ROWS: u64 = 2_100;

struct Game {
    world: World,
    random: Random,
    writer: TableWriter,
    policy: CompactionPolicy,
    /// The checkpoint is the number of commits.
    commits: u64,
    rows: BTreeMap<String, i64>,
    /// What snapshots held.
    history: Vec<(i64, BTreeMap<String, i64>)>,
    /// A plan that gets older and older.
    planned: Option<TableFiles>,
    rewritten: usize,
    followed: u64,
}

/// The rows of a batch and the keys that it deletes.
type Batch = (Vec<(String, i64)>, Vec<String>);

impl Game {
    async fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let sort_order = (random.below(2) == 0).then(|| {
            let (direction, null_order) = (SortDirection::Ascending, NullOrder::First);
            let field = SortField { source_id: 2, transform: Transform::Identity, direction, null_order };
            SortOrder::builder().with_order_id(1).with_sort_field(field).build_unbound().unwrap()
        });
        let strategy = match (&sort_order, random.below(3)) {
            (Some(_), 0) => Strategy::ZOrder,
            (_, 1) => Strategy::BinPack,
            _ => Strategy::Auto,
        };
        let spec = (random.below(3) == 0).then(|| {
            let spec =
                UnboundPartitionSpec::builder().add_partition_field(2, "n_500", Transform::Truncate(500)).unwrap();
            spec.build()
        });
        // A file of a few rows has about a kilobyte: small targets give several files, and full ones. With the largest no
        // row group is copied.
        let target_file_bytes = [1 << 30, 100_000, 3_000, 1_500][random.below(4) as usize];
        let world = World::laid_out(spec, sort_order).await;
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        let policy = CompactionPolicy { target_file_bytes, strategy };
        let (rows, history) = (BTreeMap::new(), Vec::new());
        Self { world, random, writer, policy, commits: 0, rows, history, planned: None, rewritten: 0, followed: 0 }
    }

    async fn step(&mut self) {
        match self.random.below(10) {
            0..=4 => self.commit().await,
            5 => self.compact(None).await,
            6 => {
                let fault = self.random.fault();
                self.compact(Some(fault)).await;
            }
            7 | 8 => self.compact_and_commit().await,
            _ => match self.planned.take() {
                None => self.planned = Some(self.load().await),
                Some(files) => self.run(&files).await,
            },
        }
        let snapshot_id = self.world.load().await.metadata().current_snapshot_id().unwrap();
        self.history.push((snapshot_id, self.rows.clone()));
    }

    fn batch(&mut self) -> Batch {
        let mut rows = BTreeMap::new();
        for _ in 0..1 + self.random.below(8) {
            let value = (self.random.below(4) > 0).then(|| self.random.below(1_000) as i64);
            rows.insert(format!("key {:02}", self.random.below(KEYS)), value);
        }
        if self.random.below(20) == 0 {
            let first = self.random.below(BULK_ROWS * 2);
            rows.extend((first..first + BULK_ROWS).map(|key| (format!("bulk {key}"), Some((key % 500) as i64))));
        }
        let deletes = rows.iter().filter(|(_, n)| n.is_none()).map(|(id, _)| id.clone()).collect();
        (rows.into_iter().filter_map(|(id, n)| Some((id, n?))).collect(), deletes)
    }

    fn apply(&mut self, (rows, deletes): Batch) {
        self.rows.extend(rows);
        self.rows.retain(|id, _| !deletes.contains(id));
        self.commits += 1;
    }

    async fn commit(&mut self) {
        let batch = self.batch();
        write(&mut self.writer, self.commits, &batch).await;
        self.apply(batch);
    }

    async fn load(&self) -> TableFiles {
        TableFiles::load(&self.world.catalog, &self.world.table).await.unwrap()
    }

    async fn compact(&mut self, fault: Option<Fault>) {
        let files = self.load().await;
        self.world.double.script(fault);
        self.run(&files).await;
        self.world.double.clear_script();
        self.world.double.release();
    }

    async fn run(&mut self, files: &TableFiles) {
        for task in compact::plan(files, &self.policy).unwrap().tasks {
            let progress = Progress::default();
            match compact::run(&self.world.catalog, files, &task, &progress).await {
                Ok(Outcome::Done(done)) => {
                    let is_fewer = done.files_after <= done.files_before.max(1);
                    assert!(is_fewer || done.bytes_before > self.policy.target_file_bytes, "{done:?}");
                    self.rewritten += done.files_before;
                }
                Ok(Outcome::GaveUp(_)) => {}
                Err(error) => assert_ne!(error.kind(), ErrorKind::Unexpected, "{error:?}"),
            }
        }
    }

    /// One task, during whose commit a batch lands.
    async fn compact_and_commit(&mut self) {
        let files = self.load().await;
        let tasks = compact::plan(&files, &self.policy).unwrap().tasks;
        let Some(task) = tasks.first() else { return };
        let batch = self.batch();
        let progress = Progress::default();
        self.world.double.script([Fault::Slow]);
        let outcome = {
            let mut work = std::pin::pin!(compact::run(&self.world.catalog, &files, task, &progress));
            tokio::select! {
                outcome = &mut work => panic!("it ended before its commit: {outcome:?}"),
                () = self.world.double.held_one() => {}
            }
            write(&mut self.writer, self.commits, &batch).await;
            self.world.double.go_on();
            work.await.unwrap()
        };
        match outcome {
            Outcome::Done(done) => {
                self.rewritten += done.files_before;
                self.followed += done.followed_deletes;
            }
            other => panic!("a commit of the writer is no reason to give up: {other:?}"),
        }
        self.apply(batch);
    }

    async fn check(&mut self) {
        let expected: Vec<_> = self.rows.clone().into_iter().collect();
        assert_eq!(rows_at(&self.world, None).await, expected);
        assert_eq!(self.world.rows().await, expected);
        assert_eq!(self.world.checkpoint().await, (self.commits > 0).then(|| (self.commits - 1).to_string()));
        let (snapshot_id, rows) = &self.history[self.random.below(self.history.len() as u64) as usize];
        assert_eq!(rows_at(&self.world, Some(*snapshot_id)).await, rows.clone().into_iter().collect::<Vec<_>>());
        self.world.check_history().await;
        self.check_totals().await;
    }

    /// The totals of the summary are what the manifests list.
    async fn check_totals(&self) {
        let table = self.world.load().await;
        let head = table.metadata().current_snapshot().unwrap();
        let mut totals =
            BTreeMap::from([("data-files", 0), ("delete-files", 0), ("records", 0), ("position-deletes", 0)]);
        for manifest in table.manifest_list_reader(head).load().await.unwrap().entries() {
            let loaded = manifest.load_manifest(table.file_io()).await.unwrap();
            for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
                let is_data = entry.content_type() == iceberg::spec::DataContentType::Data;
                let (files, rows) =
                    if is_data { ("data-files", "records") } else { ("delete-files", "position-deletes") };
                *totals.get_mut(files).unwrap() += 1;
                *totals.get_mut(rows).unwrap() += entry.record_count();
            }
        }
        for (name, total) in totals {
            assert_eq!(head.summary().additional_properties[&format!("total-{name}")], total.to_string(), "{name}");
        }
    }
}

async fn write(writer: &mut TableWriter, commits: u64, (rows, deletes): &Batch) {
    let rows: Vec<(&str, i64)> = rows.iter().map(|(id, n)| (id.as_str(), *n)).collect();
    let deletes: Vec<&str> = deletes.iter().map(String::as_str).collect();
    let from = (commits > 0).then(|| (commits - 1).to_string());
    writer.commit(changes(&rows, &deletes), from.as_deref(), commits.to_string().as_str()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_compaction_changes_a_row() {
    let (mut rewritten, mut followed) = (0, 0);
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut game = Game::new(seed).await;
        for _ in 0..STEPS {
            game.step().await;
        }
        game.check().await;
        // Once nobody else commits, compaction ends.
        for _ in 0..3 {
            game.compact(None).await;
        }
        let files = game.load().await;
        assert_eq!(compact::plan(&files, &game.policy).unwrap().tasks, []);
        game.check().await;
        rewritten += game.rewritten;
        followed += game.followed;
    }
    println!("{rewritten} files rewritten, {followed} deletes followed");
    assert!(rewritten > 100 && followed > 15, "the game hardly compacts");
}
