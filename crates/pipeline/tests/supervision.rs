//! What becomes of a pipeline that cannot go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pipeline::{Error, ErrorKind, Patience, State, supervise};

use crate::support::Random;
use crate::support::memory_sink::Fault;
use crate::support::vec_source::Entry::{self, Broken, Put, Remove};
use crate::support::world::World;

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_followed_by_a_restart_that_backs_off() {
    let mut world = World::new([Put("a", 1), Put("a", 2)]);
    world.source = world.source.in_pages_of(1).failing([(1, ErrorKind::Transient)]);
    let (ended, ()) = tokio::join!(world.supervise(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(matches!(world.status.state(), State::BackingOff { .. }), "{:?}", world.status.state());
        assert_eq!(world.status.accounts().snapshot().received, 0, "what was in flight is read again");
    });
    ended.unwrap();
    assert_eq!(world.table.rows(), ["a=2"]);
    assert_eq!(world.status.accounts().snapshot().received, 2);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_pipeline_stops_and_says_so() {
    let mut world = World::new([Put("a", 1)]);
    world.source = world.source.slow(Duration::from_secs(1));
    let (ended, ()) = tokio::join!(world.supervise(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut winner = world.table.sink(world.mode);
        pipeline::Sink::take_over(&mut winner).await.unwrap();
    });
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Fenced);
    assert!(matches!(world.status.state(), State::Stopped { .. }));
    assert_eq!(world.table.commits().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_patient_supervisor_waits_for_what_is_not_there_yet() {
    let world = World::new([Put("a", 1)]);
    let tries = AtomicUsize::new(0);
    let open = || async {
        match tries.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(Error::new(ErrorKind::Misconfigured, "table orders does not exist")),
            _ => Ok(world.pipeline()),
        }
    };
    let supervised = supervise("orders", open, Patience::Wait, &world.ambient, &world.shutdown, &world.status);
    let (ended, ()) = tokio::join!(supervised, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.status.not_ready().unwrap(), "waiting: table orders does not exist");
        while !world.status.ready() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        world.shutdown.cancel();
    });
    ended.unwrap();
    assert_eq!(world.table.rows(), ["a=1"]);
}

#[tokio::test(start_paused = true)]
async fn an_impatient_supervisor_gives_the_error_back() {
    let world = World::new([]);
    let open = || async { Err(Error::new(ErrorKind::Misconfigured, "table orders does not exist")) };
    let ended = supervise("orders", open, Patience::Stop, &world.ambient, &world.shutdown, &world.status).await;
    assert_eq!(ended.unwrap_err().to_string(), "table orders does not exist");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_ends_is_a_reason_to_stop() {
    let mut world = World::new([Put("a", 1)]);
    world.source = world.source.finite();
    world.delivery.interval = Duration::from_secs(1);
    let open = || async { Ok(world.pipeline()) };
    let ended = supervise("orders", open, Patience::Stop, &world.ambient, &world.shutdown, &world.status).await;
    assert!(ended.unwrap_err().to_string().contains("ended"));
    assert_eq!(world.table.rows(), ["a=1"]);
}

/// The same changes, whatever goes wrong on the way, are each in the table once.
#[tokio::test(start_paused = true)]
async fn any_faults_of_source_and_table_leave_every_change_in_the_table_once() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let entries = entries(&mut random);
        let mut world = World::new(entries.clone());
        world.mode = pipeline::Mode::Changelog;
        world.delivery.records_max = 1 + random.below(10) as usize;
        let faults = (0..random.below(8)).map(|_| (random.below(60) as usize, ErrorKind::Transient));
        let faults: Vec<_> = faults.collect();
        world.source = world.source.in_pages_of(1 + random.below(7) as usize).failing(faults);
        let fault = |roll| match roll {
            0 => Fault::Reject,
            1 => Fault::FailAfterWrite,
            _ => Fault::Slow(Duration::from_millis(roll * 100)),
        };
        world.table.fail((0..random.below(10)).map(|_| fault(random.below(4))).collect::<Vec<_>>());

        world.supervise().await.unwrap();

        let expected: Vec<_> = entries.iter().filter_map(row).collect();
        assert_eq!(world.table.written(), expected, "seed {seed}");
        let broken = entries.iter().filter(|entry| matches!(entry, Broken)).count();
        assert_eq!(world.table.letters().len(), broken, "seed {seed}");
        let account = world.status.accounts().snapshot();
        assert!(account.is_closed() && account.in_flight == 0, "seed {seed}: {account:?}");
    }
}

fn entries(random: &mut Random) -> Vec<Entry> {
    let entry = |random: &mut Random| match random.below(6) {
        0 => Broken,
        1 => Remove(["a", "b", "c"][random.below(3) as usize]),
        _ => Put(["a", "b", "c"][random.below(3) as usize], random.below(1_000)),
    };
    (0..60).map(|_| entry(random)).collect()
}

fn row(entry: &Entry) -> Option<String> {
    match entry {
        Put(id, value) => Some(format!("{id}={value}")),
        Remove(id) => Some(format!("{id}=0")),
        _ => None,
    }
}
