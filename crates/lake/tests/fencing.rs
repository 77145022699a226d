//! One writer at a time, whoever else is still alive.

use lake::ErrorKind;

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, rows_of, upserts};

#[tokio::test(start_paused = true)]
async fn of_two_workers_on_a_table_the_one_that_took_over_last_wins() {
    let world = World::mirror().await;
    let mut old = world.writer("a").await;
    old.take_over().await.unwrap();
    old.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();

    let mut new = world.writer("b").await;
    assert_eq!(new.take_over().await.unwrap().as_deref(), Some("one"));
    let error = old.commit(upserts(&[("x", 2)]), Some("one"), "two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    new.commit(upserts(&[("x", 3)]), Some("one"), "two").await.unwrap();

    assert_eq!(world.rows().await, rows_of(&[("x", 3)]));
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_takeover_fences_a_request_that_is_still_on_its_way() {
    let world = World::changelog().await;
    let mut old = world.writer("a").await;
    let mut new = world.writer("b").await;
    old.take_over().await.unwrap();
    old.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();

    world.double.script([Fault::Hold]);
    let (lost, ()) = tokio::join!(old.commit(upserts(&[("y", 2)]), Some("one"), "two"), async {
        world.double.held_one().await;
        assert_eq!(new.take_over().await.unwrap().as_deref(), Some("one"));
    });
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(world.double.release(), [409], "the late request of the older epoch");
    new.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();

    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2)]));
    world.check_history().await;
}

#[tokio::test(start_paused = true)]
async fn a_takeover_whose_answer_is_lost_is_found_again() {
    for fault in [Fault::Reset, Fault::FailBefore503, Fault::Hold, Fault::Reject409] {
        let world = World::changelog().await;
        let mut writer = world.writer("a").await;
        world.double.script([fault]);
        writer.take_over().await.unwrap();
        writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
        world.double.release();
        assert_eq!(world.rows().await, rows_of(&[("x", 1)]), "{fault:?}");
        world.check_history().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_landed_before_its_writer_was_fenced_is_a_success() {
    let world = World::changelog().await;
    let mut old = world.writer("a").await;
    let mut new = world.writer("b").await;
    old.take_over().await.unwrap();
    world.double.script([Fault::Hold]);
    let (landed, ()) = tokio::join!(old.commit(upserts(&[("x", 1)]), None, "one"), async {
        world.double.held_one().await;
        assert_eq!(world.double.release(), [200]);
        assert_eq!(new.take_over().await.unwrap().as_deref(), Some("one"));
    });
    landed.unwrap();
    let error = old.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_commit_from_another_checkpoint_is_fenced() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    let error = writer.commit(upserts(&[("y", 2)]), Some("zero"), "two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);

    writer.take_over().await.unwrap();
    let error = writer.commit(upserts(&[("y", 2)]), None, "two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}

#[tokio::test(start_paused = true)]
async fn another_pipeline_does_not_take_over() {
    let world = World::changelog().await;
    world.writer("a").await.take_over().await.unwrap();
    let mut other = world.try_writer("b", "invoices").await.unwrap();
    assert_eq!(other.take_over().await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_before_the_takeover() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    assert!(writer.commit(upserts(&[("x", 1)]), None, "one").await.is_err());
    assert!(world.double.landed().is_empty());
}
