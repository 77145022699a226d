//! The checkpoint is found wherever our last commit can still be tied to the head, and nowhere else.

use std::collections::HashMap;

use iceberg::TableUpdate;
use iceberg::spec::TableMetadata;
use lake::ErrorKind;

use crate::support::world::{World, expire_all_but_head, foreign_compaction, point_main_to, rows_of, upserts};

async fn with_two_commits() -> World {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    writer.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();
    world
}

async fn take_over(world: &World) -> lake::Result<Option<String>> {
    world.writer("b").await.take_over().await
}

#[tokio::test(start_paused = true)]
async fn it_is_found_below_foreign_snapshots() {
    let world = with_two_commits().await;
    world.double.meddle(&world.table, foreign_compaction);
    world.double.meddle(&world.table, foreign_compaction);
    assert_eq!(take_over(&world).await.unwrap().as_deref(), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn it_is_found_after_its_snapshot_expired() {
    let world = with_two_commits().await;
    world.double.meddle(&world.table, foreign_compaction);
    world.double.meddle(&world.table, expire_all_but_head);
    assert_eq!(take_over(&world).await.unwrap().as_deref(), Some("two"));
    let mut writer = world.writer("c").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("z", 3)]), Some("two"), "three").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2), ("z", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_halts_until_a_person_accepts_it() {
    let world = with_two_commits().await;
    world.double.meddle(&world.table, |metadata| {
        let parent = metadata.current_snapshot().unwrap().parent_snapshot_id().unwrap();
        vec![point_main_to(parent)]
    });
    assert_eq!(take_over(&world).await.unwrap_err().kind(), ErrorKind::Refused);

    let removals = vec!["dynaberg.checkpoint".to_owned()];
    world.double.meddle(&world.table, |_| vec![TableUpdate::RemoveProperties { removals }]);
    assert_eq!(take_over(&world).await.unwrap().as_deref(), Some("one"));
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_history_that_cannot_be_tied_to_the_checkpoint_halts() {
    let world = with_two_commits().await;
    world.double.meddle(&world.table, foreign_compaction);
    world.double.meddle(&world.table, foreign_compaction);
    world.double.meddle(&world.table, expire_all_but_head);
    assert_eq!(take_over(&world).await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_table_with_rows_of_others_starts_without_one() {
    let world = World::changelog().await;
    world.double.meddle(&world.table, |_| {
        vec![TableUpdate::SetProperties { updates: HashMap::from([("owner".to_owned(), "us".to_owned())]) }]
    });
    assert_eq!(take_over(&world).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_long_one_lies_in_a_file_of_its_own() {
    let world = with_two_commits().await;
    let long = "position ".repeat(2_000);
    let mut writer = world.writer("c").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("z", 3)]), Some("two"), long.as_str()).await.unwrap();
    assert!(longest_text(world.load().await.metadata()) < 1_000);

    // It is carried on by takeovers, and compared with what comes next.
    assert_eq!(take_over(&world).await.unwrap().as_deref(), Some(long.as_str()));
    assert_eq!(writer.take_over().await.unwrap().as_deref(), Some(long.as_str()));
    let error = writer.commit(upserts(&[]), Some("two"), "four").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[]), Some(&long), "four").await.unwrap();
    assert_eq!(world.checkpoint().await.as_deref(), Some("four"));
}

fn longest_text(metadata: &TableMetadata) -> usize {
    let summaries = metadata.snapshots().flat_map(|snapshot| snapshot.summary().additional_properties.values());
    summaries.chain(metadata.properties().values()).map(String::len).max().unwrap_or(0)
}
