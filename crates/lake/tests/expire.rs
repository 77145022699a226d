//! Old snapshots leave, and their files later; whatever is still needed stays, and is read as before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use iceberg::TableUpdate;
use iceberg::spec::StatisticsFile;
use lake::maintain::Inventory;
use lake::maintain::expire::{self, Expired, FileKind, Removed, SnapshotPolicy};
use lake::{ErrorKind, LakeTable, ScanCache};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::support::foreign::{keys, named_keys, remove_data_files, tag};
use crate::support::memory_catalog::Fault;
use crate::support::world::{World, foreign_compaction, read, rows_of, upserts};

const POLICY: SnapshotPolicy = SnapshotPolicy { snapshots_min: 1, age_max: Duration::from_secs(5 * 24 * 60 * 60) };

async fn expire(world: &World) -> lake::Result<Expired> {
    expire::run(&world.catalog, &world.table, &POLICY, &mut Inventory::default()).await
}

async fn remove(world: &World, expired: &Expired, readers: &ScanCache) -> lake::Result<Removed> {
    expire::remove(&world.catalog, &world.table, expired, readers, &mut Inventory::default()).await
}

/// A changelog of three commits ten days apart.
async fn with_history() -> World {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let mut from: Option<String> = None;
    for (number, id) in [(1, "x"), (2, "y"), (3, "z")] {
        world.clock.advance_days(10);
        let to = number.to_string();
        writer.commit(upserts(&[(id, number)]), from.as_deref(), to.as_str()).await.unwrap();
        from = Some(to);
    }
    world
}

/// The same, its first two rows taken away by somebody else before the writer came back.
async fn with_rows_gone() -> World {
    let world = with_history().await;
    let live = live_data_file(&world).await;
    remove_data_files(&world, |path| path == live).await;
    world.clock.advance_days(10);
    world.writer("b").await.take_over().await.unwrap();
    world
}

/// The data file that the head added.
async fn live_data_file(world: &World) -> String {
    let table = world.load().await;
    let head = table.metadata().current_snapshot().unwrap();
    let list = table.manifest_list_reader(head).load().await.unwrap();
    let last = list.entries().iter().find(|manifest| manifest.added_snapshot_id == head.snapshot_id()).unwrap();
    last.load_manifest(table.file_io()).await.unwrap().entries()[0].file_path().to_owned()
}

async fn snapshot_ids(world: &World) -> Vec<i64> {
    world.load().await.metadata().snapshots().map(|snapshot| snapshot.snapshot_id()).collect()
}

/// The id of a snapshot so many steps below the head.
async fn below_head(world: &World, steps: usize) -> i64 {
    let table = world.load().await;
    let mut snapshot = table.metadata().current_snapshot().unwrap();
    for _ in 0..steps {
        snapshot = table.metadata().snapshot_by_id(snapshot.parent_snapshot_id().unwrap()).unwrap();
    }
    snapshot.snapshot_id()
}

fn counts(expired: &Expired) -> [usize; 5] {
    use FileKind::*;
    [Rows, Statistics, Checkpoint, Manifest, ManifestList]
        .map(|kind| expired.freed.iter().filter(|file| file.kind == kind).count())
}

#[tokio::test(start_paused = true)]
async fn old_snapshots_leave_and_then_what_only_they_held() {
    let world = with_rows_gone().await;
    let before = keys(&world).await;
    let expired = expire(&world).await.unwrap();
    assert_eq!(expired.snapshot_ids.len(), 5, "a takeover, three commits, and the one of somebody else");
    assert_eq!(counts(&expired), [2, 0, 0, 3, 5]);
    assert_eq!(keys(&world).await, before, "nothing is deleted yet");

    let removed = remove(&world, &expired, &ScanCache::new()).await.unwrap();
    assert_eq!((removed.files, removed.kept.len()), (10, 0));
    assert_eq!(removed.bytes, expired.freed.iter().map(|file| file.bytes).sum::<u64>());
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
    assert_eq!(world.rows().await, rows_of(&[("z", 3)]));
    assert!(expire(&world).await.unwrap().snapshot_ids.is_empty(), "nothing more to do");
}

#[tokio::test(start_paused = true)]
async fn a_tag_keeps_its_snapshot_and_every_file_of_it() {
    let world = with_rows_gone().await;
    let tagged = below_head(&world, 3).await;
    world.double.meddle(&world.table, |_| vec![tag("q3", tagged)]);
    let expired = expire(&world).await.unwrap();
    remove(&world, &expired, &ScanCache::new()).await.unwrap();
    let table = LakeTable::load(&world.catalog, &world.table, Arc::default()).await.unwrap();
    assert_eq!(read(&table.at_snapshot(tagged).unwrap()).await.unwrap(), rows_of(&[("x", 1), ("y", 2)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_being_read_stays_until_the_reader_is_done() {
    let world = with_rows_gone().await;
    let readers = Arc::new(ScanCache::new());
    let table = LakeTable::load(&world.catalog, &world.table, readers.clone()).await.unwrap();
    let reader = table.at_snapshot(below_head(&world, 3).await).unwrap();
    let expired = expire(&world).await.unwrap();

    let removed = remove(&world, &expired, &readers).await.unwrap();
    assert!(!removed.kept.is_empty());
    assert_eq!(read(&reader).await.unwrap(), rows_of(&[("x", 1), ("y", 2)]));
    drop(reader);
    let removed = remove(&world, &expired, &readers).await.unwrap();
    assert!(removed.kept.is_empty());
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_is_planned_holds_on_to_its_snapshot_without_the_table() {
    let world = with_rows_gone().await;
    let readers = Arc::new(ScanCache::new());
    let table = LakeTable::load(&world.catalog, &world.table, readers.clone()).await.unwrap();
    let reader = table.at_snapshot(below_head(&world, 3).await).unwrap();
    let session = SessionContext::new();
    let plan = session.read_table(Arc::new(reader)).unwrap().create_physical_plan().await.unwrap();
    drop(table);
    let expired = expire(&world).await.unwrap();

    assert!(!remove(&world, &expired, &readers).await.unwrap().kept.is_empty());
    let batches = collect(plan, session.task_ctx()).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    assert!(remove(&world, &expired, &readers).await.unwrap().kept.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_table_names_again_stays() {
    let world = with_rows_gone().await;
    let table = world.load().await;
    let old = table.metadata().snapshot_by_id(below_head(&world, 3).await).unwrap().as_ref().clone();
    let expired = expire(&world).await.unwrap();
    world.double.meddle(&world.table, |metadata| {
        let again = iceberg::spec::Snapshot::builder()
            .with_snapshot_id(7)
            .with_sequence_number(metadata.next_sequence_number())
            .with_timestamp_ms(metadata.last_updated_ms() + 1)
            .with_manifest_list(old.manifest_list())
            .with_schema_id(0)
            .with_summary(old.summary().clone())
            .build();
        vec![TableUpdate::AddSnapshot { snapshot: again }]
    });
    remove(&world, &expired, &ScanCache::new()).await.unwrap();
    let table = LakeTable::load(&world.catalog, &world.table, Arc::default()).await.unwrap();
    assert_eq!(read(&table.at_snapshot(7).unwrap()).await.unwrap(), rows_of(&[("x", 1), ("y", 2)]));
}

#[tokio::test(start_paused = true)]
async fn the_writer_goes_on_after_its_snapshots_have_left() {
    let world = with_history().await;
    let mut writer = world.writer("b").await;
    writer.take_over().await.unwrap();
    expire(&world).await.unwrap();
    writer.commit(upserts(&[("w", 4)]), Some("3"), "4").await.unwrap();
    // Others move the head again and again, and the pipeline is idle.
    for _ in 0..3 {
        world.clock.advance_days(10);
        world.double.meddle(&world.table, foreign_compaction);
        expire(&world).await.unwrap();
    }
    assert_eq!(world.writer("c").await.take_over().await.unwrap().as_deref(), Some("4"));
    world.clock.advance_days(10);
    expire(&world).await.unwrap();
    assert_eq!(snapshot_ids(&world).await.len(), 1, "once the writer is at the head, all below may leave");
    assert_eq!(world.writer("d").await.take_over().await.unwrap().as_deref(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_or_answer_is_tried_again_on_a_fresh_plan() {
    use Fault::*;
    let scripts: [&[Fault]; 7] = [
        &[Reject409, Reject409, Reject409],
        &[NotSent, NotSent],
        &[FailBefore503, FailBefore503],
        &[FailAfterWrite503],
        &[Reset],
        &[Unreadable],
        &[Hold, ReleaseFirst],
    ];
    for faults in scripts {
        let world = with_rows_gone().await;
        world.double.script(faults.iter().copied());
        let expired = expire(&world).await.unwrap();
        world.double.release();
        assert_eq!((expired.snapshot_ids.len(), counts(&expired)), (5, [2, 0, 0, 3, 5]), "{faults:?}");
        assert_eq!(snapshot_ids(&world).await.len(), 1, "{faults:?}");
        remove(&world, &expired, &ScanCache::new()).await.unwrap();
        assert_eq!(keys(&world).await, named_keys(&world.load().await).await, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_way_to_those_who_keep_moving_the_table() {
    let world = with_history().await;
    world.double.script([Fault::Reject409; 100]);
    assert_eq!(expire(&world).await.unwrap_err().kind(), ErrorKind::Transient);
    world.double.clear_script();
    world.double.script([Fault::Forbid403]);
    assert_eq!(expire(&world).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(snapshot_ids(&world).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_late_request_does_not_land_once_a_tag_has_moved() {
    let world = with_history().await;
    let (old, older) = (below_head(&world, 1).await, below_head(&world, 2).await);
    world.double.meddle(&world.table, |_| vec![tag("q3", old)]);
    world.double.script([Fault::Hold]);
    let (expired, ()) = tokio::join!(expire(&world), async {
        world.double.held_one().await;
        world.double.meddle(&world.table, |_| vec![tag("q3", older)]);
    });
    assert!(!expired.unwrap().snapshot_ids.contains(&older));
    assert_eq!(world.double.release(), [409]);
    assert!(snapshot_ids(&world).await.contains(&older));
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_ours_that_runs_ahead_expires_nothing() {
    let world = with_history().await;
    world.objects.lag(Duration::from_secs(100 * 24 * 60 * 60));
    assert!(expire(&world).await.unwrap().snapshot_ids.is_empty());
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await, "nothing stays of asking for the time");
}

/// Damages one file, and expects an expiry that names it and its snapshot and leaves everything as it was.
async fn check_damaged(key: &str, is_missing: bool) {
    let world = with_rows_gone().await;
    let all = keys(&world).await;
    for path in all.iter().filter(|path| path.contains(key)) {
        let path = Path::parse(path).unwrap();
        let content = world.objects.get(&path).await.unwrap().bytes().await.unwrap();
        match is_missing {
            true => world.objects.delete(&path).await.unwrap(),
            false => drop(world.objects.put(&path, content.slice(..content.len() / 2).into()).await.unwrap()),
        }
        let left = keys(&world).await;
        let error = expire(&world).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{path}");
        assert!(error.to_string().contains(path.as_ref()), "{error}");
        let ids = snapshot_ids(&world).await;
        assert!(ids.iter().any(|id| error.to_string().ends_with(&format!("of snapshot {id}"))), "{error}");
        assert_eq!((ids.len(), keys(&world).await), (6, left));
        world.objects.put(&path, content.into()).await.unwrap();
    }
    assert_eq!(expire(&world).await.unwrap().snapshot_ids.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_damaged_manifest_or_list_stops_it_and_is_named() {
    check_damaged("-m0.avro", true).await;
    check_damaged("-m0.avro", false).await;
    check_damaged("snap-", true).await;
    check_damaged("snap-", false).await;
    check_damaged("foreign-", true).await;
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_cannot_load_the_metadata_stops_it() {
    let world = with_history().await;
    world.double.fail_loads(100);
    assert_eq!(expire(&world).await.unwrap_err().kind(), ErrorKind::Transient);
    world.double.fail_loads(0);
    assert_eq!(snapshot_ids(&world).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_to_delete_is_reported_and_removal_can_go_on_later() {
    let world = with_rows_gone().await;
    let expired = expire(&world).await.unwrap();
    for deletes in 0..expired.freed.len() {
        world.objects.limit_deletes(Some(deletes));
        let error = remove(&world, &expired, &ScanCache::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(world.rows().await, rows_of(&[("z", 3)]));
    }
    world.objects.limit_deletes(None);
    remove(&world, &expired, &ScanCache::new()).await.unwrap();
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn the_file_of_a_long_checkpoint_goes_with_the_last_snapshot_that_names_it() {
    let world = with_history().await;
    let long = "position ".repeat(2_000);
    let mut writer = world.writer("b").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("v", 4)]), Some("3"), long.as_str()).await.unwrap();
    world.clock.advance_days(10);
    // A takeover carries it on.
    assert_eq!(writer.take_over().await.unwrap().as_deref(), Some(long.as_str()));
    let expired = expire(&world).await.unwrap();
    assert_eq!(counts(&expired)[2], 0);

    writer.commit(upserts(&[("w", 5)]), Some(&long), "5").await.unwrap();
    world.clock.advance_days(10);
    writer.commit(upserts(&[]), Some("5"), "6").await.unwrap();
    let expired = expire(&world).await.unwrap();
    assert_eq!(counts(&expired)[2], 1);
    remove(&world, &expired, &ScanCache::new()).await.unwrap();
    assert!(!keys(&world).await.iter().any(|key| key.ends_with("-checkpoint.json")));
    assert_eq!(writer.take_over().await.unwrap().as_deref(), Some("6"));
}

#[tokio::test(start_paused = true)]
async fn statistics_go_with_their_snapshot_but_nothing_outside_of_the_table_does() {
    let world = with_history().await;
    let (old, older) = (below_head(&world, 1).await, below_head(&world, 2).await);
    let paths = ["shop/orders/metadata/a.stats", "shop/invoices/metadata/b.stats"];
    for path in paths {
        world.objects.put(&Path::parse(path).unwrap(), "puffin".into()).await.unwrap();
    }
    world.double.meddle(&world.table, |_| {
        let statistics = [old, older].into_iter().zip(paths).map(|(snapshot_id, path)| StatisticsFile {
            snapshot_id,
            statistics_path: format!("s3://warehouse/{path}"),
            file_size_in_bytes: 6,
            file_footer_size_in_bytes: 1,
            key_metadata: None,
            blob_metadata: Vec::new(),
        });
        statistics.map(|statistics| TableUpdate::SetStatistics { statistics }).collect()
    });
    let expired = expire(&world).await.unwrap();
    assert_eq!(counts(&expired)[1], 2);
    assert_eq!(world.load().await.metadata().statistics_iter().count(), 0);
    remove(&world, &expired, &ScanCache::new()).await.unwrap();
    let left = keys(&world).await;
    assert_eq!(paths.map(|path| left.iter().any(|key| key == path)), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_table_whose_files_are_shared_is_left_alone() {
    let world = with_history().await;
    let updates = HashMap::from([("gc.enabled".to_owned(), "false".to_owned())]);
    world.double.meddle(&world.table, |_| vec![TableUpdate::SetProperties { updates }]);
    assert_eq!(expire(&world).await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_is_known_is_not_read_again() {
    let world = with_history().await;
    let mut inventory = Inventory::default();
    let policy = SnapshotPolicy { age_max: Duration::from_secs(15 * 24 * 60 * 60), ..POLICY };
    expire::run(&world.catalog, &world.table, &policy, &mut inventory).await.unwrap();
    let reads = world.objects.reads();
    let expired = expire::run(&world.catalog, &world.table, &POLICY, &mut inventory).await.unwrap();
    assert_eq!(expired.snapshot_ids.len(), 1);
    // The store's clock, and the list of the snapshot that leaves.
    assert_eq!(world.objects.reads() - reads, 2);
}

#[tokio::test(start_paused = true)]
async fn a_table_on_the_local_disk_loses_old_snapshots_too() {
    let world = World::on_disk().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    world.clock.advance_days(10);
    writer.commit(upserts(&[("x", 2)]), Some("one"), "two").await.unwrap();
    let expired = expire(&world).await.unwrap();
    assert_eq!(counts(&expired), [0, 0, 0, 0, 2]);
    assert_eq!(remove(&world, &expired, &ScanCache::new()).await.unwrap().files, 2);
    let store = world.catalog.store_for(&expired.freed[0].location).unwrap();
    for file in &expired.freed {
        let key = file.location.strip_prefix("file:///").unwrap();
        assert!(store.head(&Path::parse(key).unwrap()).await.is_err(), "{key}");
    }
    assert_eq!(world.rows().await, rows_of(&[("x", 2)]));
}

#[tokio::test(start_paused = true)]
async fn metadata_of_expired_snapshots_goes_with_their_files_where_the_table_asks_for_it() {
    let metadata_left = async |delete_after_commit: &str| {
        let world = with_history().await;
        let name = "write.metadata.delete-after-commit.enabled".to_owned();
        let updates = HashMap::from([(name, delete_after_commit.to_owned())]);
        world.double.meddle(&world.table, |_| vec![TableUpdate::SetProperties { updates }]);
        // The double keeps its metadata files to itself.
        for entry in world.load().await.metadata().metadata_log() {
            let key = entry.metadata_file.split_once("://").unwrap().1.split_once('/').unwrap().1;
            world.objects.put(&Path::from(key), "{}".into()).await.unwrap();
        }
        let expired = expire(&world).await.unwrap();
        assert_eq!(expired.snapshot_ids.len(), 3);
        remove(&world, &expired, &ScanCache::new()).await.unwrap();
        let left = keys(&world).await.into_iter().filter(|key| key.ends_with(".metadata.json"));
        left.map(|key| key.rsplit_once('/').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(metadata_left("true").await, ["v4.metadata.json"], "the head stands in it");
    let all = ["v0", "v1", "v2", "v3", "v4"].map(|version| format!("{version}.metadata.json"));
    assert_eq!(metadata_left("false").await, all);
}
