//! A table that may hold a key in many rows: a delete takes them all.

use lake::{ErrorKind, RowChanges, TableWriter};

use crate::compaction::compact;
use crate::support::world::{World, changes, rows_of, upserts};

async fn writer(world: &World) -> TableWriter {
    let keys = vec!["id".to_owned()];
    TableWriter::open_repeating(world.catalog.clone(), world.table.clone(), "orders".to_owned(), keys).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn rows_are_added_beside_those_of_their_key_and_a_delete_takes_all_of_them() {
    let world = World::changelog().await;
    let mut writer = writer(&world).await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1), ("x", 2), ("y", 3)]), None, "one").await.unwrap();
    writer.commit(upserts(&[("x", 4)]), Some("one"), "two").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("x", 2), ("x", 4), ("y", 3)]));

    // The rows that come with a delete stay, though they have its key.
    writer.commit(changes(&[("x", 5)], &["x", "z"]), Some("two"), "three").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 5), ("y", 3)]));
}

#[tokio::test(start_paused = true)]
async fn rows_that_a_compaction_has_moved_are_found() {
    let world = World::changelog().await;
    let mut writer = writer(&world).await;
    writer.take_over().await.unwrap();
    let mut last = None;
    for n in 0..8_i64 {
        let next = n.to_string();
        writer.commit(upserts(&[("x", n), ("y", n)]), last.as_deref(), next.as_str()).await.unwrap();
        last = Some(next);
    }
    assert!(!compact(&world).await.is_empty());
    writer.commit(changes(&[], &["x"]), last.as_deref(), "end").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[0, 1, 2, 3, 4, 5, 6, 7].map(|n| ("y", n))));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_there_is_told_at_once() {
    let world = World::changelog().await;
    let keys = vec!["nobody".to_owned()];
    let opened = TableWriter::open_repeating(world.catalog.clone(), world.table.clone(), "p".to_owned(), keys).await;
    assert_eq!(opened.err().unwrap().kind(), ErrorKind::Refused);
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let deleted = RowChanges { upserts: Vec::new(), ..changes(&[], &["x"]) };
    assert_eq!(writer.commit(deleted, None, "one").await.err().unwrap().kind(), ErrorKind::Refused);
}
