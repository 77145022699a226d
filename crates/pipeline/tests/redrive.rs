//! Dead letters that come back: each once, and never an older state over a newer one.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline::{Action, Counts, ErrorKind, Mode, Retries, Selection};
use tokio_util::sync::CancellationToken;

use crate::support::Random;
use crate::support::memory_sink::Fault;
use crate::support::vec_source::Entry::{self, Broken, Put, Remove};
use crate::support::world::World;

/// More than an int holds: such a value is rejected as long as the table is narrow.
const LARGE: u64 = 10_000_000_000;
const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A world whose stream was read into a narrow table, and whose table is wide now.
async fn widened(entries: Vec<Entry>, records_a_commit: usize) -> World {
    let mut world = World::new(entries);
    world.is_narrow = true;
    world.delivery.records_max = records_a_commit;
    world.source = world.source.in_pages_of(records_a_commit).finite();
    while let Err(error) = world.run().await {
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
    world.is_narrow = false;
    world
}

/// Asks for a redrive, and runs the pipeline until it is done or fails.
async fn redrive(world: &World, limit: Option<u64>) -> Option<Counts> {
    let selection = Selection { limit, ..Selection::default() };
    let (answer, _) = tokio::join!(world.desk.ask(Action::Redrive, selection), world.run());
    answer.ok().map(|outcome| outcome.counts)
}

fn held(world: &World) -> u64 {
    world.table.checkpoint().held.len()
}

#[tokio::test(start_paused = true)]
async fn letters_come_back_unless_the_table_has_a_newer_state() {
    let entries = vec![
        Put("a", LARGE + 1),
        Put("b", LARGE + 2),
        Put("b", 3),
        Put("c", 4),
        Put("c", LARGE + 5),
        Remove("c"),
        Put("d", LARGE + 6),
        Put("d", LARGE + 7),
        Broken,
    ];
    for records_a_commit in [1, 2, 4, 100] {
        let world = widened(entries.clone(), records_a_commit).await;
        assert_eq!(held(&world), 6);
        assert_eq!(world.table.rows(), ["b=3"]);
        let counts = redrive(&world, None).await.unwrap();
        let [a, d] = [LARGE + 1, LARGE + 7];
        assert_eq!(world.table.rows(), [format!("a={a}"), "b=3".into(), format!("d={d}")]);
        assert_eq!((counts.redriven, counts.skipped, counts.remaining), (2, 3, 1), "{records_a_commit} a commit");
        let again = redrive(&world, None).await.unwrap();
        assert_eq!((again.redriven, again.skipped, again.remaining), (0, 0, 1));
        assert_eq!(held(&world), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_comes_after_the_letter_makes_it_void() {
    let world = widened(vec![Put("a", LARGE + 1), Put("b", LARGE + 2)], 1).await;
    let mut later = World::new(vec![Put("a", LARGE + 1), Put("b", LARGE + 2), Put("a", 3), Remove("b")]);
    (later.table, later.source) = (world.table.clone(), later.source.finite());
    later.run().await.unwrap();
    let counts = redrive(&later, None).await.unwrap();
    assert_eq!((counts.redriven, counts.skipped), (0, 2));
    assert_eq!(later.table.rows(), ["a=3"]);
}

#[tokio::test(start_paused = true)]
async fn a_purge_lets_letters_go_and_deletes_them() {
    let world = widened(vec![Put("a", LARGE + 1), Broken, Put("a", LARGE + 2)], 10).await;
    let selection = Selection { code: Some("DYN405".into()), ..Selection::default() };
    let (answer, _) = tokio::join!(world.desk.ask(Action::Purge, selection), world.run());
    let outcome = answer.unwrap();
    assert_eq!((outcome.counts.purged, outcome.held), (2, 1));
    let (announced, kept) = world.table.announced_and_kept();
    assert_eq!((announced.len(), kept.len()), (2, 1));
    assert!(kept.iter().all(|path| path.starts_with("DYN401/")), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn letters_whose_file_somebody_deleted_harm_nobody_and_are_purged() {
    let world = widened(vec![Put("a", LARGE + 1), Put("b", 2), Put("b", LARGE + 3)], 1).await;
    world.table.delete_a_file_of_letters();
    let counts = redrive(&world, None).await.unwrap();
    assert_eq!((counts.redriven, counts.remaining, held(&world)), (1, 1, 1));
    let selection = Selection { code: Some("DYN405".into()), ..Selection::default() };
    let (answer, _) = tokio::join!(world.desk.ask(Action::Purge, selection), world.run());
    assert_eq!((answer.unwrap().counts.purged, held(&world)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_changelog_has_every_letter_once() {
    let mut world = World::new(vec![Put("a", 1), Put("a", LARGE + 2), Put("a", 3), Put("a", LARGE + 4)]);
    (world.mode, world.is_narrow) = (Mode::Changelog, true);
    world.source = world.source.finite();
    world.run().await.unwrap();
    world.is_narrow = false;
    world.table.fail([Fault::FailAfterWrite]);
    assert_eq!(redrive(&world, None).await, None);
    assert_eq!(redrive(&world, None).await.unwrap(), Counts::default());
    let expected = [1, 3, LARGE + 2, LARGE + 4].map(|value| format!("a={value}"));
    assert_eq!(world.table.written(), expected);
}

const RETRIES: Retries = Retries { tries_max: 3, first_pause: Duration::from_secs(60) };

/// Runs for so long, on the paused clock.
async fn run_for(world: &World, time: Duration) {
    let world = World { shutdown: CancellationToken::new(), ..world.clone() };
    let stop = async {
        tokio::time::sleep(time).await;
        world.shutdown.cancel();
    };
    let (ran, ()) = tokio::join!(world.run(), stop);
    ran.unwrap();
}

#[tokio::test(start_paused = true)]
async fn letters_are_tried_again_by_themselves_and_given_up_after_as_many_tries_as_they_have() {
    let mut world = World::new(vec![Put("a", LARGE + 1), Put("b", 2)]);
    (world.is_narrow, world.retries) = (true, Some(RETRIES));
    let mut tries = Vec::new();
    // Restarts in between change nothing of it.
    for _ in 0..40 {
        run_for(&world, Duration::from_secs(15)).await;
        tries.push(world.table.checkpoint().held.files()[0].tries());
    }
    assert!(tries.is_sorted() && tries.starts_with(&[0, 0]) && tries.contains(&1) && tries.contains(&2), "{tries:?}");
    assert!(world.table.checkpoint().held.files()[0].is_given_up());
    let account = world.status.accounts().snapshot();
    assert_eq!((account.held, account.given_up, account.redriven), (1, 1, 0));
    let commits = world.table.commits().len();
    run_for(&world, Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.table.commits().len(), commits, "nothing is tried that was given up");

    // A person still can, and who allows more tries gets them.
    world.retries = Some(Retries { tries_max: 4, ..RETRIES });
    world.is_narrow = false;
    run_for(&world, Duration::from_secs(3600)).await;
    assert_eq!((held(&world), world.table.rows()), (0, vec![format!("a={}", LARGE + 1), "b=2".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_never_brings_an_older_state_back() {
    let mut world = World::new(vec![
        Put("a", LARGE + 1),
        Put("b", LARGE + 2),
        Put("b", 3),
        Put("c", LARGE + 4),
        Remove("c"),
        Put("d", LARGE + 5),
        Put("d", LARGE + 6),
        Broken,
    ]);
    (world.is_narrow, world.retries) = (true, Some(RETRIES));
    run_for(&world, Duration::from_secs(20)).await;
    assert_eq!((held(&world), world.table.rows()), (6, vec!["b=3".to_owned()]));
    world.is_narrow = false;
    run_for(&world, Duration::from_secs(3600)).await;
    assert_eq!(world.table.rows(), [format!("a={}", LARGE + 1), "b=3".into(), format!("d={}", LARGE + 6)]);
    let account = world.status.accounts().snapshot();
    assert_eq!((account.redriven, account.redrive_skipped, account.held, account.given_up), (2, 3, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_again_holds_each_record_once() {
    let entries =
        [Put("a", LARGE + 1), Put("b", 2), Put("b", LARGE + 3), Put("c", LARGE + 4), Put("a", LARGE + 5), Remove("c")];
    for records_a_commit in [1, 2, 100] {
        let mut world = widened(entries.to_vec(), records_a_commit).await;
        assert_eq!(held(&world), 4);
        for _ in 0..2 {
            world.table.rewind();
            world.is_narrow = true;
            world.run().await.unwrap();
        }
        world.is_narrow = false;
        let counts = redrive(&world, None).await.unwrap();
        assert_eq!((counts.redriven, counts.remaining, held(&world)), (2, 0, 0), "{records_a_commit} a commit");
        assert_eq!(world.table.rows(), [format!("a={}", LARGE + 5), format!("b={}", LARGE + 3)]);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_and_in_whatever_portions_the_table_ends_as_the_stream_says() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut model: BTreeMap<&str, u64> = BTreeMap::new();
        let mut entries = Vec::new();
        for number in 1..=60 {
            let id = IDS[random.below(IDS.len() as u64) as usize];
            match random.below(10) {
                0 | 1 => {
                    entries.push(Remove(id));
                    model.remove(id);
                }
                kind => {
                    let value = if kind < 6 { LARGE + number } else { number };
                    entries.push(Put(id, value));
                    model.insert(id, value);
                }
            }
        }
        let faults = |random: &mut Random| match random.below(4) {
            0 => Fault::Reject,
            1 => Fault::FailAfterWrite,
            _ => Fault::Slow(std::time::Duration::ZERO),
        };
        let world = widened(entries, 1 + random.below(9) as usize).await;
        let mut attempts = 0;
        while held(&world) > 0 {
            world.table.fail([faults(&mut random), faults(&mut random)]);
            let limit = Some(1 + random.below(20));
            redrive(&world, limit).await;
            attempts += 1;
            assert!(attempts < 1_000, "seed {seed} makes no progress");
        }
        let expected: Vec<_> = model.iter().map(|(id, value)| format!("{id}={value}")).collect();
        assert_eq!(world.table.rows(), expected, "seed {seed}");

        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        for row in world.table.written() {
            let (id, value) = row.split_once('=').unwrap();
            let number = value.parse::<u64>().unwrap() % LARGE;
            let before = newest.insert(id.to_owned(), number).unwrap_or_default();
            assert!(before < number, "seed {seed}: {id} went from {before} back to {number}");
        }
    }
}
