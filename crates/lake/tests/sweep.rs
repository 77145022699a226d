//! Files that nothing names go once they are old, and no other file does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::Schema;
use iceberg::{NamespaceIdent, TableUpdate};
use lake::maintain::expire::{self, SnapshotPolicy};
use lake::maintain::sweep::{self, SweepPolicy, Swept};
use lake::maintain::{Inventory, metadata_log};
use lake::{ErrorKind, LakeTable, ScanCache, TableCreation};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::support::foreign::{keys, named_keys, remove_data_files};
use crate::support::world::{World, expire_all_but_head, foreign_compaction, read, rows_of, upserts};

const POLICY: SweepPolicy = SweepPolicy { unreferenced_days: 3, noncurrent_days: 10 };

async fn sweep(world: &World) -> lake::Result<Swept> {
    sweep_beside(world, &ScanCache::new()).await
}

async fn sweep_beside(world: &World, readers: &ScanCache) -> lake::Result<Swept> {
    sweep::run(&world.catalog, &world.table, &POLICY, readers, &mut Inventory::default()).await
}

async fn put(world: &World, key: &str) {
    world.objects.put(&Path::parse(key).unwrap(), "left behind".into()).await.unwrap();
}

/// A table of one row, three of its snapshots expired without their files having been removed.
async fn with_leftovers() -> World {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    writer.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();
    remove_data_files(&world, |_| false).await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("z", 3)]), Some("two"), "three").await.unwrap();
    world.clock.advance_days(1);
    let policy = SnapshotPolicy { snapshots_min: 1, age_max: Duration::from_secs(60) };
    expire::run(&world.catalog, &world.table, &policy, &mut Inventory::default()).await.unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_removal_left_is_swept_once_it_is_old() {
    let world = with_leftovers().await;
    put(&world, "shop/orders/data/half-written.parquet").await;
    world.clock.advance_days(12);
    let before = keys(&world).await;
    let swept = sweep(&world).await.unwrap();
    assert_eq!(swept.files, 0, "all that nothing names is 13 days old at most");
    assert_eq!(keys(&world).await, before);

    world.clock.advance_days(2);
    put(&world, "shop/orders/data/of-a-commit-under-way.parquet").await;
    let (readers, mut inventory) = (ScanCache::new(), Inventory::default());
    let found = sweep::preview(&world.catalog, &world.table, &POLICY, &readers, &mut inventory).await.unwrap();
    assert_eq!(keys(&world).await.len(), before.len() + 1, "a preview deletes nothing");

    let swept = sweep(&world).await.unwrap();
    assert_eq!((swept.files, swept.bytes, &swept.named), (found.files, found.bytes, &found.named));
    assert_eq!(swept.files as usize, swept.named.len());
    let mut expected = named_keys(&world.load().await).await;
    expected.push("shop/orders/data/of-a-commit-under-way.parquet".to_owned());
    expected.sort();
    assert_eq!(keys(&world).await, expected);
    assert_eq!(world.rows().await, rows_of(&[("z", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_table_may_have_a_bucket_of_its_own_as_in_s3_tables() {
    let world = with_leftovers().await;
    world.double.meddle(&world.table, |_| vec![TableUpdate::SetLocation { location: "s3://warehouse".to_owned() }]);
    put(&world, "data/half-written.parquet").await;
    world.clock.advance_days(20);
    assert!(sweep(&world).await.unwrap().named.iter().any(|file| file.key == "data/half-written.parquet"));
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn files_of_a_commit_whose_outcome_was_unknown_are_found_by_their_age() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    world.double.script([crate::support::memory_catalog::Fault::Hold]);
    let (committed, ()) = tokio::join!(writer.commit(upserts(&[("x", 1)]), None, "one"), async {
        world.double.held_one().await;
        world.double.meddle(&world.table, foreign_compaction);
    });
    committed.unwrap();
    world.clock.advance_days(14);
    assert_eq!(sweep(&world).await.unwrap().files, 2, "a manifest and a list");
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_to_be_named_after_the_listing_stays() {
    let world = with_leftovers().await;
    world.clock.advance_days(20);
    let again = world.load().await.metadata().current_snapshot().unwrap().as_ref().clone();
    let list = keys(&world)
        .await
        .into_iter()
        .find(|key| key.contains("/snap-") && !again.manifest_list().ends_with(key.as_str()));
    let list = format!("s3://warehouse/{}", list.unwrap());
    let (double, table) = (world.double.clone(), world.table.clone());
    let named = list.clone();
    world.objects.after_second_list(move || {
        double.meddle(&table, |metadata| {
            let snapshot = iceberg::spec::Snapshot::builder()
                .with_snapshot_id(7)
                .with_sequence_number(metadata.next_sequence_number())
                .with_timestamp_ms(metadata.last_updated_ms() + 1)
                .with_manifest_list(named)
                .with_schema_id(0)
                .with_summary(again.summary().clone())
                .build();
            vec![TableUpdate::AddSnapshot { snapshot }]
        });
    });
    assert!(sweep(&world).await.unwrap().files > 0);
    let left = keys(&world).await;
    assert!(left.iter().any(|key| list.ends_with(key.as_str())));
    assert_eq!(left, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_read_is_not_swept() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    let readers = Arc::new(ScanCache::new());
    let reader = LakeTable::load(&world.catalog, &world.table, readers.clone()).await.unwrap();
    remove_data_files(&world, |_| false).await;
    world.double.meddle(&world.table, expire_all_but_head);
    world.clock.advance_days(20);

    sweep_beside(&world, &readers).await.unwrap();
    assert_eq!(read(&reader).await.unwrap(), rows_of(&[("x", 1)]));
    drop(reader);
    sweep_beside(&world, &readers).await.unwrap();
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_ours_that_runs_ahead_sweeps_nothing() {
    let world = with_leftovers().await;
    world.clock.advance_days(100);
    world.objects.lag(Duration::from_secs(100 * 24 * 60 * 60));
    assert_eq!(sweep(&world).await.unwrap().files, 0);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_another_table_of_the_catalog_shares_is_left_alone() {
    let world = with_leftovers().await;
    world.clock.advance_days(20);
    let creation = TableCreation {
        name: "returns".to_owned(),
        schema: Schema::builder().build().unwrap(),
        partition_spec: None,
        sort_order: None,
        properties: HashMap::new(),
    };
    let other = world.catalog.create_table(&NamespaceIdent::new("shop".to_owned()), creation).await.unwrap();
    for (location, is_shared) in [
        ("s3a://warehouse/shop/orders/returns", true),
        ("s3://warehouse/shop/orders/", true),
        ("s3://warehouse/shop", true),
        ("s3://warehouse/shop/orders2", false),
    ] {
        let before = keys(&world).await;
        world.double.meddle(other.identifier(), |_| vec![TableUpdate::SetLocation { location: location.to_owned() }]);
        let swept = sweep(&world).await;
        assert_eq!(swept.is_err(), is_shared, "{location}");
        if let Err(error) = swept {
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("returns"), "{error}");
            assert_eq!(keys(&world).await, before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_with_a_table_of_another_catalog_is_left_alone() {
    let world = with_leftovers().await;
    put(&world, "shop/orders/a/data/a.parquet").await;
    put(&world, "shop/orders/a/metadata/v1.metadata.json").await;
    world.clock.advance_days(20);
    let before = keys(&world).await;
    let error = sweep(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("shop/orders/a/metadata/v1.metadata.json"), "{error}");
    assert_eq!(keys(&world).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_stops_it_before_anything_is_deleted() {
    let world = with_leftovers().await;
    world.clock.advance_days(20);
    let table = world.load().await;
    let list = table.metadata().current_snapshot().unwrap().manifest_list();
    let path = Path::parse(list.strip_prefix("s3://warehouse/").unwrap()).unwrap();
    world.objects.delete(&path).await.unwrap();
    let before = keys(&world).await;
    let error = sweep(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unexpected);
    assert!(error.to_string().contains(list), "{error}");
    assert_eq!(keys(&world).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_to_delete_stops_it_and_the_next_sweep_goes_on() {
    let world = with_leftovers().await;
    world.clock.advance_days(20);
    // One of the deletes is that of the probe for the time.
    world.objects.limit_deletes(Some(3));
    assert_eq!(sweep(&world).await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!(world.rows().await, rows_of(&[("z", 3)]));
    world.objects.limit_deletes(None);
    sweep(&world).await.unwrap();
    assert_eq!(keys(&world).await, named_keys(&world.load().await).await);
}

#[tokio::test(start_paused = true)]
async fn files_that_a_commit_may_be_about_to_name_are_never_asked_for() {
    let world = with_leftovers().await;
    let policy = SweepPolicy { unreferenced_days: 0, noncurrent_days: 0 };
    let swept = sweep::run(&world.catalog, &world.table, &policy, &ScanCache::new(), &mut Inventory::default()).await;
    assert_eq!(swept.unwrap_err().kind(), ErrorKind::Refused);
}

/// A table whose log holds two old metadata files, with the file of every version it ever had.
async fn with_old_metadata() -> World {
    let world = World::changelog().await;
    let set = |name: &str, value: &str| {
        let updates = HashMap::from([(name.to_owned(), value.to_owned())]);
        world.double.meddle(&world.table, |_| vec![TableUpdate::SetProperties { updates }]);
    };
    set("write.metadata.previous-versions-max", "2");
    for version in 0..=6 {
        put(&world, &format!("shop/orders/metadata/v{version}.metadata.json")).await;
        world.clock.advance_days(1);
        if (1..6).contains(&version) {
            set("version", &version.to_string());
        }
    }
    let location = world.load().await.metadata_location().unwrap().to_owned();
    assert!(location.ends_with("v6.metadata.json"), "{location}");
    world
}

#[tokio::test(start_paused = true)]
async fn metadata_that_fell_out_of_the_log_goes_where_the_table_asks_for_it() {
    let world = with_old_metadata().await;
    assert_eq!(metadata_log::trim(&world.catalog, &world.table).await.unwrap(), 0);
    let updates = HashMap::from([("write.metadata.delete-after-commit.enabled".to_owned(), "true".to_owned())]);
    world.double.meddle(&world.table, |_| vec![TableUpdate::SetProperties { updates }]);
    put(&world, "shop/orders/metadata/v7.metadata.json").await;
    put(&world, "shop/orders/metadata/v8-not-swapped-in-yet.metadata.json").await;
    assert_eq!(metadata_log::trim(&world.catalog, &world.table).await.unwrap(), 5);
    let left =
        ["v5", "v6", "v7", "v8-not-swapped-in-yet"].map(|name| format!("shop/orders/metadata/{name}.metadata.json"));
    assert_eq!(keys(&world).await, left);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_fell_out_of_the_log_is_swept_in_any_case() {
    let world = with_old_metadata().await;
    world.clock.advance_days(20);
    assert_eq!(sweep(&world).await.unwrap().files, 4);
    assert_eq!(keys(&world).await, ["v4", "v5", "v6"].map(|name| format!("shop/orders/metadata/{name}.metadata.json")));
}
