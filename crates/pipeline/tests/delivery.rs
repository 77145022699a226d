//! When a batch is committed.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::memory_sink::Fault;
use crate::support::vec_source::Entry::{self, Put};
use crate::support::world::World;

/// A change a second.
fn changes(count: u64) -> Vec<Entry> {
    (0..count).map(|value| Put("a", value)).collect()
}

/// When the commits of a world came, in seconds after its start.
async fn commits_of(world: &World) -> Vec<u64> {
    let started = Instant::now();
    world.run().await.unwrap();
    world.table.commits().iter().map(|commit| (*commit - started).as_secs()).collect()
}

fn a_change_a_second(count: u64) -> World {
    let mut world = World::new(changes(count));
    world.source = world.source.in_pages_of(1).slow(Duration::from_secs(1)).finite();
    world
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_committed_when_its_first_record_has_waited_for_the_interval() {
    let mut world = a_change_a_second(12);
    world.delivery.interval = Duration::from_millis(4_500);
    assert_eq!(commits_of(&world).await, [5, 10, 13]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_committed_when_it_has_enough_records() {
    let mut world = a_change_a_second(7);
    (world.delivery.interval, world.delivery.records_max) = (Duration::from_secs(60), 3);
    assert_eq!(commits_of(&world).await, [3, 6, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_committed_when_it_has_enough_bytes() {
    let mut world = a_change_a_second(4);
    (world.delivery.interval, world.delivery.size_bytes) = (Duration::from_secs(60), 250);
    assert_eq!(commits_of(&world).await, [2, 4]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_commits_what_is_held() {
    let world = World::new(changes(3));
    let (ended, ()) = tokio::join!(world.run(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.status.accounts().snapshot().in_flight, 3);
        world.shutdown.cancel();
    });
    ended.unwrap();
    assert_eq!(world.table.rows(), ["a=2"]);
    assert_eq!(world.status.accounts().snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_complete_before_it_is_committed() {
    let mut world = World::new(changes(1));
    world.delivery.interval = Duration::from_secs(2);
    world.table.fail([Fault::Slow(Duration::from_secs(3))]);
    let (ended, ()) = tokio::join!(world.run(), async {
        let complete = || world.status.accounts().snapshot().complete_up_to;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(complete(), None, "the commit is under way");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let account = world.status.accounts().snapshot();
        let now = world.ambient.now();
        assert_eq!(account.lag(now).map(|lag| lag.as_secs()), Some(6), "as old as the poll that gave the last record");
        world.shutdown.cancel();
    });
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_pipeline_looks_after_its_checkpoint() {
    let world = World::new(changes(1));
    let (ended, ()) = tokio::join!(world.run(), async {
        tokio::time::sleep(Duration::from_secs(50 * 60)).await;
        world.shutdown.cancel();
    });
    ended.unwrap();
    assert_eq!(world.table.journal(), ["commit", "heartbeat", "heartbeat"]);
}
