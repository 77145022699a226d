//! Compaction changes no row, whoever else commits meanwhile.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use iceberg::TableUpdate;
use iceberg::spec::{
    ManifestContentType, NullOrder, SortDirection, SortField, SortOrder, Transform, UnboundPartitionSpec,
};
use lake::maintain::compact::{self, CompactionPolicy, Done, GaveUp, Outcome, Progress, Strategy, TableFiles};
use lake::{LakeTable, ScanCache};
use object_store::ObjectStore;

use crate::support::memory_catalog::Fault;
use crate::support::world::{
    World, changes, expire_all_but_head, foreign_compaction, object_count, point_main_to, rows_of, upserts,
};

/// Plans and runs every task.
pub async fn compact(world: &World) -> Vec<Outcome> {
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    run_all(world, &files).await
}

async fn run_all(world: &World, files: &TableFiles) -> Vec<Outcome> {
    run_with(world, files, &CompactionPolicy::default()).await
}

async fn run_with(world: &World, files: &TableFiles, policy: &CompactionPolicy) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for task in compact::plan(files, policy).unwrap().tasks {
        outcomes.push(compact::run(&world.catalog, files, &task, &Progress::default()).await.unwrap());
    }
    outcomes
}

/// The rows of a snapshot, or of the head, as our own reader sees them, sorted.
pub async fn rows_at(world: &World, snapshot_id: Option<i64>) -> Vec<(String, i64)> {
    let mut rows = read(world, snapshot_id).await;
    rows.sort();
    rows
}

/// The head's rows in the order of the files.
pub async fn unsorted_rows(world: &World) -> Vec<(String, i64)> {
    read(world, None).await
}

async fn read(world: &World, snapshot_id: Option<i64>) -> Vec<(String, i64)> {
    let mut table = LakeTable::load(&world.catalog, &world.table, Arc::new(ScanCache::new())).await.unwrap();
    if let Some(snapshot_id) = snapshot_id {
        table = table.at_snapshot(snapshot_id).unwrap();
    }
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_table("t", Arc::new(table)).unwrap();
    let batches = context.sql("SELECT id, n FROM t").await.unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        let ids = cast(batch.column(0), &DataType::Utf8).unwrap();
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        let ids = ids.as_string::<i32>();
        rows.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), numbers.value(row))));
    }
    rows
}

fn done(outcome: &Outcome) -> Done {
    match outcome {
        Outcome::Done(done) => *done,
        other => panic!("{other:?}"),
    }
}

/// A mirror of six rows in as many files, with its writer at checkpoint `6`.
async fn six_files() -> (World, lake::TableWriter) {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let mut from: Option<String> = None;
    for (number, id) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let to = (number + 1).to_string();
        writer.commit(upserts(&[(id, number as i64)]), from.as_deref(), to.as_str()).await.unwrap();
        from = Some(to);
    }
    (world, writer)
}

const SIX: [(&str, i64); 6] = [("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4), ("f", 5)];

#[tokio::test(start_paused = true)]
async fn many_small_files_become_one_and_the_writer_goes_on() {
    let (world, mut writer) = six_files().await;
    let outcomes = compact(&world).await;
    assert_eq!(outcomes.len(), 1);
    let done = done(&outcomes[0]);
    assert_eq!((done.files_before, done.files_after, done.rows), (6, 1, 6));
    assert_eq!(world.rows().await, rows_of(&SIX));
    assert_eq!(rows_at(&world, None).await, rows_of(&SIX));
    assert_eq!(world.checkpoint().await.as_deref(), Some("6"), "the writer's stamp is carried on");

    let table = world.load().await;
    let summary = &table.metadata().current_snapshot().unwrap().summary().additional_properties;
    assert_eq!((&*summary["total-data-files"], &*summary["total-records"]), ("1", "6"));

    writer.commit(changes(&[("a", 10)], &["b"]), Some("6"), "7").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("a", 10), ("c", 2), ("d", 3), ("e", 4), ("f", 5)]));
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_was_just_compacted_has_nothing_to_do() {
    let (world, _writer) = six_files().await;
    compact(&world).await;
    assert_eq!(compact(&world).await, []);
}

/// The paths of the head's data files.
async fn data_files(world: &World) -> Vec<String> {
    let table = world.load().await;
    let list = table.manifest_list_reader(table.metadata().current_snapshot().unwrap()).load().await.unwrap();
    let mut paths = Vec::new();
    for manifest in list.entries().iter().filter(|manifest| manifest.content == ManifestContentType::Data) {
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        let live = manifest.entries().iter().filter(|entry| entry.is_alive());
        paths.extend(live.map(|entry| entry.file_path().to_owned()));
    }
    paths
}

/// Lets `meanwhile` happen between the work of a compaction and its commit, which then finds another head.
async fn compact_during<M: Future<Output = ()>>(world: &World, meanwhile: M) -> Vec<Outcome> {
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    world.double.script([Fault::Slow]);
    let (outcomes, ()) = tokio::join!(run_all(world, &files), async {
        world.double.held_one().await;
        meanwhile.await;
        world.double.go_on();
    });
    outcomes
}

#[tokio::test(start_paused = true)]
async fn rows_deleted_during_a_compaction_stay_deleted() {
    let (world, mut writer) = six_files().await;
    let before = world.load().await.metadata().current_snapshot_id();
    let outcomes = compact_during(&world, async {
        writer.commit(changes(&[("a", 10)], &["b"]), Some("6"), "7").await.unwrap();
        writer.commit(changes(&[("b", 11)], &["f"]), Some("7"), "8").await.unwrap();
    })
    .await;
    let expected = rows_of(&[("a", 10), ("b", 11), ("c", 2), ("d", 3), ("e", 4)]);
    assert_eq!(world.rows().await, expected);
    assert_eq!(rows_at(&world, None).await, expected);
    assert_eq!(done(&outcomes[0]).followed_deletes, 3);
    assert_eq!(data_files(&world).await.len(), 3, "the compacted one and two that came meanwhile");
    assert_eq!(rows_at(&world, before).await, rows_of(&SIX), "an old snapshot reads as before");
    assert_eq!(world.checkpoint().await.as_deref(), Some("8"));

    writer.commit(changes(&[("c", 12)], &["a"]), Some("8"), "9").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("b", 11), ("c", 12), ("d", 3), ("e", 4)]));
    world.check_history().await;
    world.check_positions().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_meets_a_compaction_finds_the_rows_where_they_are_now() {
    let (world, mut writer) = six_files().await;
    world.double.script([Fault::Slow]);
    let (committed, ()) = tokio::join!(writer.commit(changes(&[("a", 10)], &["b"]), Some("6"), "7"), async {
        world.double.held_one().await;
        compact(&world).await;
        world.double.go_on();
    });
    committed.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("a", 10), ("c", 2), ("d", 3), ("e", 4), ("f", 5)]));
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_neither_undoes_nor_repeats_a_compaction() {
    use Fault::*;
    let scripts: [&[Fault]; 7] = [
        &[Reset],
        &[FailAfterWrite503],
        &[Unreadable],
        &[FailBefore503, Reject409, Reset],
        &[Hold],
        &[Hold, ReleaseFirst],
        &[NotSent, Reject409, Reject409],
    ];
    for faults in scripts {
        let (world, mut writer) = six_files().await;
        world.double.script(faults.iter().copied());
        let outcomes = compact(&world).await;
        world.double.release();
        assert_eq!(done(&outcomes[0]).rows, 6, "{faults:?}");
        assert_eq!(data_files(&world).await.len(), 1, "{faults:?}");
        assert_eq!(world.rows().await, rows_of(&SIX), "{faults:?}");
        writer.commit(changes(&[("a", 10)], &["b"]), Some("6"), "7").await.unwrap();
        assert_eq!(world.rows().await[0], ("a".to_owned(), 10), "{faults:?}");
        world.check_history().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_always_loses_gives_way_and_leaves_nothing() {
    let (world, _writer) = six_files().await;
    let before = object_count(&world).await;
    world.double.script([Fault::Reject409; 20]);
    assert_eq!(compact(&world).await, [Outcome::GaveUp(GaveUp::LostRace)]);
    world.double.clear_script();
    assert_eq!(object_count(&world).await, before);
    assert_eq!(world.rows().await, rows_of(&SIX));
}

#[tokio::test(start_paused = true)]
async fn a_compaction_whose_files_go_meanwhile_gives_up_and_leaves_nothing() {
    let (world, _writer) = six_files().await;
    let outcomes = compact_during(&world, async {
        compact(&world).await;
    })
    .await;
    assert!(matches!(&outcomes[..], [Outcome::GaveUp(GaveUp::FileGone(_))]), "{outcomes:?}");
    let live = data_files(&world).await;
    assert_eq!(live.len(), 1);
    let objects: Vec<_> = world.objects.list(None).try_collect().await.unwrap();
    let compacted = objects.iter().filter(|object| object.location.as_ref().contains("compact-"));
    assert_eq!(compacted.count(), 1, "the one that lives");
    assert_eq!(world.rows().await, rows_of(&SIX));
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_landed_unseen_keeps_its_files() {
    let (world, mut writer) = six_files().await;
    world.double.script([Fault::Hold]);
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    let (outcomes, ()) = tokio::join!(run_all(&world, &files), async {
        world.double.held_one().await;
        assert_eq!(world.double.release(), [200]);
        world.double.meddle(&world.table, foreign_compaction);
        world.double.meddle(&world.table, expire_all_but_head);
    });
    assert_eq!((done(&outcomes[0]).rows, done(&outcomes[0]).snapshot_id), (6, None));
    writer.commit(changes(&[("a", 10)], &[]), Some("6"), "7").await.unwrap();
    let expected = rows_of(&[("a", 10), ("b", 1), ("c", 2), ("d", 3), ("e", 4), ("f", 5)]);
    assert_eq!(world.rows().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_others_carried_out_is_given_up() {
    let (world, _writer) = six_files().await;
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    run_all(&world, &files).await;
    assert!(matches!(&run_all(&world, &files).await[..], [Outcome::GaveUp(GaveUp::FileGone(_))]));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_under_a_compaction_ends_it() {
    let (world, mut writer) = six_files().await;
    let before = world.load().await.metadata().current_snapshot_id().unwrap();
    writer.commit(changes(&[], &["a"]), Some("6"), "7").await.unwrap();
    let outcomes = compact_during(&world, async {
        world.double.meddle(&world.table, |_| {
            vec![
                TableUpdate::RemoveProperties { removals: vec!["dynaberg.checkpoint".to_owned()] },
                point_main_to(before),
            ]
        });
    })
    .await;
    assert_eq!(outcomes, [Outcome::GaveUp(GaveUp::RolledBack)]);
    assert_eq!(world.rows().await, rows_of(&SIX));
}

#[tokio::test(start_paused = true)]
async fn a_file_without_live_rows_goes_and_nothing_comes() {
    let (world, mut writer) = six_files().await;
    writer.commit(changes(&[], &["a", "b", "c", "d", "e", "f"]), Some("6"), "7").await.unwrap();
    let outcomes = compact(&world).await;
    assert_eq!(done(&outcomes[0]).files_after, 0);
    assert_eq!((data_files(&world).await, world.rows().await), (vec![], vec![]));
    let table = world.load().await;
    let summary = &table.metadata().current_snapshot().unwrap().summary().additional_properties;
    for total in ["total-data-files", "total-delete-files", "total-records", "total-position-deletes"] {
        assert_eq!(summary[total], "0", "{total}");
    }
}

/// A hundred rows in one file, nine of them deleted by nine commits.
async fn nine_delete_files() -> (World, lake::TableWriter) {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let rows: Vec<(String, i64)> = (0..100).map(|n| (format!("{n:02}"), n)).collect();
    let rows: Vec<(&str, i64)> = rows.iter().map(|(id, n)| (id.as_str(), *n)).collect();
    writer.commit(upserts(&rows), None, "0").await.unwrap();
    for (number, (id, _)) in rows.iter().enumerate().take(9) {
        let (from, to) = (number.to_string(), (number + 1).to_string());
        writer.commit(changes(&[], &[id]), Some(&from), to.as_str()).await.unwrap();
    }
    (world, writer)
}

#[tokio::test(start_paused = true)]
async fn many_delete_files_become_one_and_the_data_stays() {
    let (world, mut writer) = nine_delete_files().await;
    let (data, rows) = (data_files(&world).await, world.rows().await);
    let outcomes = compact_during(&world, async {
        writer.commit(changes(&[], &["50"]), Some("9"), "10").await.unwrap();
    })
    .await;
    let done = done(&outcomes[0]);
    assert_eq!((done.files_before, done.files_after), (9, 1));
    assert_eq!(data_files(&world).await, data);
    let expected: Vec<_> = rows.into_iter().filter(|(id, _)| id != "50").collect();
    assert_eq!(world.rows().await, expected);
    assert_eq!(rows_at(&world, None).await, expected);
    let table = world.load().await;
    let summary = &table.metadata().current_snapshot().unwrap().summary().additional_properties;
    assert_eq!((&*summary["total-delete-files"], &*summary["total-position-deletes"]), ("2", "10"));
    assert_eq!(compact(&world).await, []);
}

fn by_number() -> SortOrder {
    SortOrder::builder()
        .with_order_id(1)
        .with_sort_field(SortField {
            source_id: 2,
            transform: Transform::Identity,
            direction: SortDirection::Descending,
            null_order: NullOrder::Last,
        })
        .with_sort_field(SortField {
            source_id: 1,
            transform: Transform::Truncate(1),
            direction: SortDirection::Ascending,
            null_order: NullOrder::First,
        })
        .build_unbound()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn sorted_files_are_in_the_order_of_the_table_and_deletes_follow() {
    for strategy in [Strategy::Auto, Strategy::Sort, Strategy::ZOrder] {
        let world = World::laid_out(None, Some(by_number())).await;
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        let mut from: Option<String> = None;
        for batch in [[("a", 3), ("b", 7)], [("c", 1), ("d", 9)], [("e", 5), ("f", 2)], [("g", 8), ("h", 2)]] {
            let to = batch[0].0;
            writer.commit(upserts(&batch), from.as_deref(), to).await.unwrap();
            from = Some(to.to_owned());
        }
        let policy = CompactionPolicy { strategy, ..CompactionPolicy::default() };
        let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
        let plan = compact::plan(&files, &policy).unwrap();
        world.double.script([Fault::Slow]);
        let progress = Progress::default();
        let (outcome, ()) = tokio::join!(compact::run(&world.catalog, &files, &plan.tasks[0], &progress), async {
            world.double.held_one().await;
            writer.commit(changes(&[], &["d", "f"]), Some("g"), "last").await.unwrap();
            world.double.go_on();
        });
        assert_eq!(done(&outcome.unwrap()).followed_deletes, 2, "{strategy:?}");
        assert_eq!(progress.rows(), 8);
        let expected = rows_of(&[("a", 3), ("b", 7), ("c", 1), ("e", 5), ("g", 8), ("h", 2)]);
        assert_eq!(world.rows().await, expected, "{strategy:?}");
        let unsorted = unsorted_rows(&world).await;
        let numbers: Vec<i64> = unsorted.iter().map(|(_, n)| *n).collect();
        if strategy != Strategy::ZOrder {
            assert_eq!(numbers, [8, 7, 5, 3, 2, 1]);
        }
        let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
        let again = compact::plan(&files, &policy).unwrap();
        // Of eight rows two are deleted again.
        assert_eq!(again.tasks.iter().map(|task| task.gain.deleted_rows).collect::<Vec<_>>(), [2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_compacted_by_itself() {
    let spec = UnboundPartitionSpec::builder().add_partition_field(2, "n", Transform::Identity).unwrap().build();
    let world = World::laid_out(Some(spec), None).await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let mut from: Option<String> = None;
    for id in ["a", "b", "c", "d"] {
        let rows = [(&*format!("{id}1"), 1), (&*format!("{id}2"), 2)];
        writer.commit(upserts(&rows), from.as_deref(), id).await.unwrap();
        from = Some(id.to_owned());
    }
    let before = world.rows().await;
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    let plan = compact::plan(&files, &CompactionPolicy::default()).unwrap();
    let mut names: Vec<_> = plan.tasks.iter().map(|task| task.partition.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["n=1", "n=2"]);
    run_all(&world, &files).await;
    assert_eq!(data_files(&world).await.len(), 2);
    assert_eq!(rows_at(&world, None).await, before);
    // A row moves to another partition.
    writer.commit(changes(&[("a1", 2)], &[]), Some("d"), "e").await.unwrap();
    assert_eq!(world.rows().await[0], ("a1".to_owned(), 2));
}

/// Files of so many rows each, and their writer at the checkpoint that is their number.
pub async fn files_of(file_count: usize, rows_per_file: usize) -> (World, lake::TableWriter) {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    for file in 0..file_count {
        // Numbers without a pattern, so that a file's size goes with its rows.
        let number = |row: usize| ((file * 10_000 + row + 1) as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
        let rows: Vec<_> = (0..rows_per_file).map(|row| (format!("{file:03}-{row:03}"), number(row))).collect();
        let rows: Vec<_> = rows.iter().map(|(id, n)| (id.as_str(), *n)).collect();
        let from = (file > 0).then(|| file.to_string());
        writer.commit(upserts(&rows), from.as_deref(), (file + 1).to_string().as_str()).await.unwrap();
    }
    (world, writer)
}

#[tokio::test(start_paused = true)]
async fn a_delete_file_stays_as_long_as_a_file_that_it_deletes_from() {
    // A commit that deletes from many data files writes one delete file for all of them.
    let (world, mut writer) = files_of(66, 100).await;
    for round in 0..10 {
        let mut deletes: Vec<String> = (0..66).map(|file| format!("{file:03}-{round:03}")).collect();
        if round == 9 {
            deletes.extend((50..70).map(|row| format!("000-{row:03}")));
        }
        let deletes: Vec<_> = deletes.iter().map(String::as_str).collect();
        let (from, to) = ((66 + round).to_string(), (67 + round).to_string());
        writer.commit(changes(&[], &deletes), Some(&from), to.as_str()).await.unwrap();
    }
    let rows = world.rows().await;
    let policy = CompactionPolicy { target_file_bytes: 1_000, ..CompactionPolicy::default() };
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    let plan = compact::plan(&files, &policy).unwrap();
    let gains: Vec<_> = plan.tasks.iter().map(|task| (task.gain.files_before, task.gain.deleted_rows)).collect();
    assert_eq!(gains, [(1, 30), (10, 0)], "one file is worn, ten delete files are many for the others");

    compact::run(&world.catalog, &files, &plan.tasks[0], &Progress::default()).await.unwrap();
    assert_eq!(rows_at(&world, None).await, rows);
    let merged = compact::run(&world.catalog, &files, &plan.tasks[1], &Progress::default()).await.unwrap();
    assert_eq!((done(&merged).files_before, done(&merged).files_after), (10, 1));
    assert_eq!(rows_at(&world, None).await, rows);
    assert_eq!(world.rows().await, rows);
    let table = world.load().await;
    let summary = &table.metadata().current_snapshot().unwrap().summary().additional_properties;
    assert_eq!((&*summary["total-delete-files"], &*summary["total-position-deletes"]), ("1", "650"));
}

#[tokio::test(start_paused = true)]
async fn full_files_come_out_even() {
    // Files of fewer rows are compressed less, so that theirs would not tell the size of fuller ones.
    let (world, mut writer) = files_of(20, 2_100).await;
    let policy = CompactionPolicy { target_file_bytes: 128_000, ..CompactionPolicy::default() };
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    let before = world.rows().await;
    let outcomes = run_with(&world, &files, &policy).await;
    let written: Vec<_> = outcomes.iter().map(done).collect();
    assert_eq!(written.iter().map(|done| (done.files_before, done.rows)).collect::<Vec<_>>(), [(20, 42_000)]);
    assert!(written[0].files_after > 2, "{written:?}");
    let mean = written[0].bytes_after / written[0].files_after as u64;
    assert!((96_000..192_000).contains(&mean), "{written:?}");
    assert_eq!(rows_at(&world, None).await, before);
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    assert_eq!(compact::plan(&files, &policy).unwrap().tasks, []);
    // Each key is found in its new file.
    let ids: Vec<_> = before.iter().step_by(2).map(|(id, _)| id.as_str()).collect();
    writer.commit(changes(&[], &ids), Some("20"), "21").await.unwrap();
    assert_eq!(world.rows().await.len(), 21_000);
}
