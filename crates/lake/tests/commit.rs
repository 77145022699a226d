//! Rows and checkpoint in one snapshot, whatever the catalog answers.

use lake::{ErrorKind, RowChanges};

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, changes, foreign_compaction, object_count, rows_of, upserts};

#[tokio::test(start_paused = true)]
async fn rows_and_checkpoint_become_visible_together() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    assert_eq!(writer.take_over().await.unwrap(), None);
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    writer.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();

    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2)]));
    assert_eq!(world.checkpoint().await.as_deref(), Some("two"));
}

/// Plays `faults` on the commit of `y` between those of `x` and `z`, in a table that shows every duplicate.
async fn check(faults: &[Fault]) {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    world.double.script(faults.iter().copied());
    writer.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();
    writer.commit(upserts(&[("z", 3)]), Some("two"), "three").await.unwrap();
    world.double.release();

    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2), ("z", 3)]), "{faults:?}");
    assert_eq!(world.checkpoint().await.as_deref(), Some("three"), "{faults:?}");
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_response_neither_loses_nor_duplicates_rows() {
    check(&[Fault::FailAfterWrite503]).await;
    check(&[Fault::Reset]).await;
    check(&[Fault::Unreadable]).await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_tried_again_on_a_fresh_head() {
    check(&[Fault::Reject409]).await;
    check(&[Fault::Reject409; 5]).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_503_neither_loses_nor_duplicates_rows() {
    check(&[Fault::FailBefore503; 20]).await;
    check(&[Fault::FailBefore503, Fault::FailBefore503, Fault::FailAfterWrite503]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_never_sent_is_sent_again() {
    check(&[Fault::NotSent, Fault::NotSent]).await;
    check(&[Fault::NotSent, Fault::Reset]).await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_after_an_unknown_outcome_is_no_refusal() {
    check(&[Fault::FailBefore503, Fault::Reject409]).await;
    check(&[Fault::FailBefore503, Fault::Reject409, Fault::Reset]).await;
    check(&[Fault::Hold, Fault::ReleaseFirst]).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_commit_lands_once() {
    check(&[Fault::Hold]).await;
    check(&[Fault::Hold, Fault::Hold, Fault::Reset]).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_repeated_with_the_same_bytes() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    world.double.script([Fault::FailBefore503, Fault::NotSent]);
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();

    let bodies = world.double.commit_bodies();
    assert_eq!(bodies.len(), 4, "a takeover and three tries");
    assert!(bodies[1] == bodies[2] && bodies[2] == bodies[3]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_waits_for_a_catalog_that_cannot_be_asked() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    world.double.script([Fault::Reset]);
    world.double.fail_loads(30);
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_commit_overtaken_by_a_foreign_snapshot_is_built_again() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    world.double.script([Fault::Hold]);
    let (committed, ()) = tokio::join!(writer.commit(upserts(&[("x", 1)]), None, "one"), async {
        world.double.held_one().await;
        world.double.meddle(&world.table, foreign_compaction);
    });
    committed.unwrap();
    assert_eq!(world.double.release(), [409], "the late request finds another head");
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_is_an_error_and_leaves_the_table_as_it_was() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    world.double.script([Fault::Forbid403]);
    let error = writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(world.rows().await, []);
    assert_eq!(world.checkpoint().await, None);
}

#[tokio::test(start_paused = true)]
async fn files_are_deleted_after_a_refusal_and_kept_while_the_outcome_is_unknown() {
    for (fault, left) in [(Fault::Reject409, 0), (Fault::Hold, 2)] {
        let world = World::changelog().await;
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        let before = object_count(&world).await;
        world.double.script([fault]);
        let (committed, ()) = tokio::join!(writer.commit(upserts(&[("x", 1)]), None, "one"), async {
            if matches!(fault, Fault::Hold) {
                world.double.held_one().await;
                world.double.meddle(&world.table, foreign_compaction);
            }
        });
        committed.unwrap();
        // A data file, a manifest and a manifest list; an attempt left behind is a manifest and a list more.
        assert_eq!(object_count(&world).await - before, 3 + left, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_small_manifests_are_merged_and_every_row_stays() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let mut from: Option<String> = None;
    let mut expected = Vec::new();
    for number in 0..70 {
        let (id, to) = (format!("{number:03}"), number.to_string());
        writer.commit(upserts(&[(&id, number)]), from.as_deref(), to.as_str()).await.unwrap();
        expected.push((id, number));
        from = Some(to);
    }
    assert_eq!(world.rows().await, expected);
    let table = world.load().await;
    let head = table.metadata().current_snapshot().unwrap();
    let manifests = table.manifest_list_reader(head).load().await.unwrap();
    assert!(manifests.entries().len() < 20, "{} manifests", manifests.entries().len());
    assert_eq!(head.summary().additional_properties["total-records"], "70");
    assert_eq!(head.summary().additional_properties["total-data-files"], "70");
}

#[tokio::test(start_paused = true)]
async fn an_upsert_replaces_the_row_of_its_key_and_a_delete_removes_it() {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1), ("y", 1), ("z", 1)]), None, "one").await.unwrap();
    writer.commit(changes(&[("x", 2), ("new", 1)], &["y", "never there"]), Some("one"), "two").await.unwrap();
    writer.commit(changes(&[("x", 3)], &["new"]), Some("two"), "three").await.unwrap();
    writer.commit(changes(&[], &["z"]), Some("three"), "four").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 3)]));
}

#[tokio::test(start_paused = true)]
async fn no_fault_leaves_two_rows_of_one_key() {
    use Fault::*;
    let scripts: [&[Fault]; 7] = [
        &[FailAfterWrite503],
        &[Reject409],
        &[FailBefore503, Reset],
        &[Hold],
        &[Unreadable],
        &[NotSent, Reject409, Reset],
        &[Hold, Reject409, FailAfterWrite503],
    ];
    for faults in scripts {
        let world = World::mirror().await;
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        writer.commit(upserts(&[("x", 1), ("y", 1)]), None, "one").await.unwrap();
        world.double.script(faults.iter().copied());
        writer.commit(changes(&[("x", 2)], &["y"]), Some("one"), "two").await.unwrap();
        writer.commit(upserts(&[("x", 3), ("z", 3)]), Some("two"), "three").await.unwrap();
        world.double.release();
        assert_eq!(world.rows().await, rows_of(&[("x", 3), ("z", 3)]), "{faults:?}");
        world.check_history().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_index_is_rebuilt_after_a_foreign_snapshot() {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1), ("y", 1)]), None, "one").await.unwrap();
    world.double.meddle(&world.table, foreign_compaction);
    writer.commit(changes(&[("x", 2)], &["y"]), Some("one"), "two").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 2)]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_commit_ties_the_checkpoint_to_a_table_that_others_changed() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    assert!(!writer.is_overtaken().await.unwrap());
    world.double.meddle(&world.table, foreign_compaction);
    assert!(writer.is_overtaken().await.unwrap());

    writer.commit(RowChanges::default(), Some("one"), "one").await.unwrap();
    assert!(!writer.is_overtaken().await.unwrap());
    assert_eq!(world.writer("b").await.take_over().await.unwrap().as_deref(), Some("one"));
}
