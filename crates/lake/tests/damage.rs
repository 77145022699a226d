//! A file that is damaged or gone, and a disk that is full: maintenance stops, says at what, and changes nothing.

use std::error::Error;

use bytes::Bytes;
use futures::TryStreamExt;
use lake::maintain::compact::{self, CompactionPolicy, Outcome, Progress, TableFiles};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::support::world::{World, changes, object_count, rows_of, upserts};

/// A mirror of some rows in as many files, one of them deleted again.
async fn table() -> World {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let mut from: Option<String> = None;
    for (number, id) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        let to = (number + 1).to_string();
        let deleted: &[&str] = if id == "g" { &["b"] } else { &[] };
        let upserted = upserts(&[(id, number as i64)]);
        let deletes = changes(&[], deleted).deletes;
        let rows = if deleted.is_empty() { upserted } else { lake::RowChanges { deletes, ..upserted } };
        writer.commit(rows, from.as_deref(), to.as_str()).await.unwrap();
        from = Some(to);
    }
    world
}

const ROWS: [(&str, i64); 6] = [("a", 0), ("c", 2), ("d", 3), ("e", 4), ("f", 5), ("g", 6)];

async fn compact(world: &World) -> lake::Result<Vec<Outcome>> {
    let files = TableFiles::load(&world.catalog, &world.table).await?;
    let mut outcomes = Vec::new();
    for task in compact::plan(&files, &CompactionPolicy::default())?.tasks {
        outcomes.push(compact::run(&world.catalog, &files, &task, &Progress::default()).await?);
    }
    Ok(outcomes)
}

/// The error and its causes, as the log shows them.
fn told(error: &lake::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}

/// An object whose name has `part` in it.
async fn object(world: &World, part: &str) -> Path {
    let listed: Vec<_> = world.objects.list(None).try_collect().await.unwrap();
    listed.into_iter().find(|object| object.location.as_ref().contains(part)).unwrap().location
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_named_with_its_snapshot_and_the_table_stays_as_it_is() {
    for part in ["-00000.parquet", "-deletes-", "-m0.avro", "manifest list"] {
        for damage in ["missing", "cut in half", "overwritten"] {
            let what = format!("{part} {damage}");
            let world = table().await;
            let metadata = world.load().await.metadata_ref();
            let list = metadata.current_snapshot().unwrap().manifest_list().rsplit('/').next().unwrap();
            let path = object(&world, if part == "manifest list" { list } else { part }).await;
            let whole = world.objects.get(&path).await.unwrap().bytes().await.unwrap();
            match damage {
                "missing" => world.objects.delete(&path).await.unwrap(),
                "cut in half" => drop(world.objects.put(&path, whole.slice(..whole.len() / 2).into()).await.unwrap()),
                _ => drop(world.objects.put(&path, Bytes::from(vec![b'?'; whole.len()]).into()).await.unwrap()),
            }
            let head = world.load().await.metadata().current_snapshot_id().unwrap();
            let objects = object_count(&world).await;

            let told = told(&compact(&world).await.expect_err(&what));
            assert!(told.contains(path.filename().unwrap()), "{what}: {told}");
            assert!(told.contains(&head.to_string()), "{what}: {told}");
            assert_eq!(world.load().await.metadata().current_snapshot_id(), Some(head), "{what}");
            assert_eq!(object_count(&world).await, objects, "{what}: nothing is left behind");

            world.objects.put(&path, whole.into()).await.unwrap();
            assert_eq!(world.rows().await, rows_of(&ROWS), "{what}");
            compact(&world).await.expect(&what);
            assert_eq!(world.rows().await, rows_of(&ROWS), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_compaction_on_a_full_disk_is_given_up_and_the_table_takes_rows_when_there_is_room() {
    // The data file, the manifest, the manifest list.
    for writes in 0..3 {
        let world = table().await;
        let head = world.load().await.metadata().current_snapshot_id();
        let objects = object_count(&world).await;
        world.objects.limit_writes(Some(writes));
        let told = told(&compact(&world).await.expect_err("no room"));
        assert!(told.contains("disk full"), "{writes}: {told}");
        assert_eq!(world.load().await.metadata().current_snapshot_id(), head, "{writes}");

        world.objects.limit_writes(None);
        let mut writer = world.writer("a").await;
        writer.take_over().await.unwrap();
        writer.commit(upserts(&[("h", 7)]), Some("7"), "8").await.unwrap();
        let rows: Vec<_> = rows_of(&ROWS).into_iter().chain([("h".to_owned(), 7)]).collect();
        assert_eq!(world.rows().await, rows, "{writes}");
        compact(&world).await.unwrap();
        assert_eq!(world.rows().await, rows, "{writes}");
        assert!(object_count(&world).await >= objects);
    }
}
