//! What is durable when: letters, rows, checkpoint.

use std::time::Duration;

use pipeline::{ErrorKind, Mode, NoDeadLetters, Patience, ShardId, ShardProgress, supervise};

use crate::support::memory_sink::Fault;
use crate::support::vec_source::Entry::{Broken, End, Gap, Put, Remove};
use crate::support::world::World;

#[tokio::test(start_paused = true)]
async fn letters_are_kept_before_the_checkpoint_moves_over_their_records() {
    let mut world = World::new([Put("a", 1), Broken, Put("b", 2)]);
    world.source = world.source.finite();
    world.run().await.unwrap();
    assert_eq!(world.table.journal(), ["letters 1", "commit"]);
    assert_eq!(world.table.rows(), ["a=1", "b=2"]);
    assert_eq!(world.table.letters().keys().collect::<Vec<_>>(), ["s/2"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_while_letters_cannot_be_kept() {
    let mut world = World::new([Put("a", 1), Broken]);
    world.source = world.source.finite();
    let mut pipeline = world.pipeline();
    pipeline.dead_letters = Box::new(world.table.dead_letters().failing(1));
    assert_eq!(pipeline.run(&world.shutdown).await.unwrap_err().kind(), ErrorKind::Transient);
    assert_eq!((world.table.journal().len(), world.table.checkpoint().incarnation.as_str()), (0, ""));
}

#[tokio::test(start_paused = true)]
async fn without_a_place_for_letters_the_first_one_stops_the_pipeline() {
    let mut world = World::new([Put("a", 1), Broken]);
    world.source = world.source.finite();
    let mut pipeline = world.pipeline();
    pipeline.dead_letters = Box::new(NoDeadLetters);
    let error = pipeline.run(&world.shutdown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.to_string().contains("record s/2") && error.to_string().contains("Try: "), "{error}");
    assert_eq!(world.table.commits().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_commit_response_neither_loses_nor_duplicates_rows() {
    let mut world = World::new([Put("a", 1), Put("a", 2), Remove("b"), Put("b", 3)]);
    world.mode = Mode::Changelog;
    world.source = world.source.in_pages_of(1).slow(Duration::from_secs(20));
    world.table.fail([Fault::FailAfterWrite, Fault::FailAfterWrite]);
    world.supervise().await.unwrap();
    assert_eq!(world.table.written(), ["a=1", "a=2", "b=0", "b=3"]);
}

#[tokio::test(start_paused = true)]
async fn columns_that_somebody_changed_are_taken_over_with_the_next_commit() {
    let mut world = World::new([Put("a", 1), Put("b", 1 << 40), Put("c", 1 << 40)]);
    world.source = world.source.in_pages_of(1).slow(Duration::from_secs(40)).finite();
    let mut pipeline = world.pipeline();
    pipeline.sink = Box::new(world.table.sink(world.mode).widened_at_first_commit());
    pipeline.run(&world.shutdown).await.unwrap();
    assert_eq!(world.table.rows(), ["a=1", "b=1099511627776", "c=1099511627776"]);
    assert_eq!(world.table.letters().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn columns_that_somebody_changed_are_taken_over_with_a_heartbeat() {
    let mut world = World::new([Put("a", 1), Put("b", 1 << 40)]);
    world.source = world.source.in_pages_of(1).slow(Duration::from_secs(25 * 60)).finite();
    let mut pipeline = world.pipeline();
    pipeline.sink = Box::new(world.table.sink(world.mode).widened_at_first_heartbeat());
    pipeline.run(&world.shutdown).await.unwrap();
    assert_eq!(world.table.rows(), ["a=1", "b=1099511627776"]);
    assert_eq!(world.table.letters().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_is_read_again() {
    let world = World::new([Put("a", 1), Put("b", 2), Put("a", 3)]);
    world.table.fail([Fault::Reject; 5]);
    world.supervise().await.unwrap();
    assert_eq!(world.table.rows(), ["a=3", "b=2"]);
    let account = world.status.accounts().snapshot();
    assert_eq!((account.received, account.upserted, account.superseded, account.in_flight), (3, 2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_that_ends_a_shard_is_committed() {
    let mut world = World::new([End]);
    world.source = world.source.finite();
    world.run().await.unwrap();
    assert_eq!(world.table.checkpoint().progress(&ShardId::new("s")), Some(&ShardProgress::Ended));
    assert_eq!(world.table.checkpoint().incarnation, "vec");
}

#[tokio::test(start_paused = true)]
async fn nothing_read_is_nothing_committed() {
    let mut world = World::new([]);
    world.source = world.source.finite();
    world.run().await.unwrap();
    assert_eq!(world.table.commits().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_recorded_in_the_table_and_shown_over_restarts() {
    let world = World::new([Put("a", 1), Gap, Put("a", 2)]);
    world.supervise().await.unwrap();
    assert_eq!(world.table.checkpoint().gaps().len(), 1);

    let again = World { table: world.table.clone(), ..World::new([Put("a", 1), Gap, Put("a", 2), Put("a", 3)]) };
    let watch = async {
        while again.table.rows() != ["a=3"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let reason = again.status.not_ready().unwrap();
        assert!(reason.contains("gap"), "{reason}");
        again.shutdown.cancel();
    };
    let open = || async { Ok(again.pipeline()) };
    let supervised = supervise("orders", open, Patience::Stop, &again.ambient, &again.shutdown, &again.status);
    let (ended, ()) = tokio::join!(supervised, watch);
    ended.unwrap();
}
