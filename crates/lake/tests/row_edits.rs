//! Rows that people delete and change: in one snapshot on top of the one that was read, or not at all.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::prelude::SessionContext;
use lake::{Appender, Edited, ErrorKind, Result, RowEdits};

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, object_count, rows_of, upserts};

async fn append(world: &World, rows: &[(&str, i64)]) {
    let mut appender = Appender::open(&world.catalog, &world.table).await.unwrap();
    for batch in upserts(rows).upserts {
        appender.write(batch).await.unwrap();
    }
    appender.commit().await.unwrap();
}

/// Deletes the rows that fulfil a condition, and adds others.
async fn edits(world: &World, condition: &str, added: &[(&str, i64)]) -> Result<RowEdits> {
    let mut edits = RowEdits::open(&world.catalog, &world.table, &Arc::default()).await?;
    let session = SessionContext::new();
    session.register_table("t", edits.positioned()).unwrap();
    let places = format!("SELECT \"$pos\", \"$file\" FROM t WHERE {condition}");
    for batch in session.sql(&places).await.unwrap().collect().await.unwrap() {
        let (positions, files) =
            (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int32Type>());
        for (file, position) in files.values().iter().zip(positions.values()) {
            assert!(edits.delete(*file, *position), "each row is there once");
            assert!(!edits.delete(*file, *position), "and then it is gone");
        }
    }
    for batch in upserts(added).upserts {
        edits.write(batch).await?;
    }
    Ok(edits)
}

#[tokio::test(start_paused = true)]
async fn edits_are_there_once_whatever_the_catalog_answers() {
    let faults: [&[Fault]; 6] = [
        &[],
        &[Fault::FailBefore503, Fault::FailAfterWrite503],
        &[Fault::Reset],
        &[Fault::Unreadable],
        &[Fault::Hold],
        &[Fault::Reject409; 2],
    ];
    for faults in faults {
        let world = World::changelog().await;
        append(&world, &[("x", 1), ("y", 2), ("z", 3)]).await;
        append(&world, &[("v", 4), ("w", 5)]).await;
        let edits = edits(&world, "n IN (1, 3, 4)", &[("x", 10)]).await.unwrap();
        world.double.script(faults.iter().copied());
        assert_eq!(edits.commit().await.unwrap(), Edited::Done, "{faults:?}");
        world.double.release();
        assert_eq!(world.rows().await, rows_of(&[("w", 5), ("x", 10), ("y", 2)]), "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_keep_their_places_where_others_before_them_are_deleted() {
    let world = World::changelog().await;
    append(&world, &[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)]).await;
    for (condition, left) in [("n = 2", 4), ("n = 4", 3), ("n >= 5", 2)] {
        edits(&world, condition, &[]).await.unwrap().commit().await.unwrap();
        assert_eq!(world.rows().await.len(), left, "{condition}");
    }
    assert_eq!(world.rows().await, rows_of(&[("a", 1), ("c", 3)]));
    edits(&world, "true", &[]).await.unwrap().commit().await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[]));
}

#[tokio::test(start_paused = true)]
async fn edits_of_a_table_that_others_changed_meanwhile_leave_nothing_behind() {
    let world = World::changelog().await;
    append(&world, &[("x", 1), ("y", 2)]).await;
    let overtaken = edits(&world, "id = 'x'", &[("x", 9)]).await.unwrap();
    append(&world, &[("z", 3)]).await;
    let objects = object_count(&world).await;
    assert_eq!(overtaken.commit().await.unwrap(), Edited::Overtaken);
    assert_eq!(object_count(&world).await, objects);
    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2), ("z", 3)]));
    let again = edits(&world, "id = 'x'", &[("x", 9)]).await.unwrap();
    assert_eq!(again.commit().await.unwrap(), Edited::Done);
    assert_eq!(world.rows().await, rows_of(&[("x", 9), ("y", 2), ("z", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_a_pipeline_writes_is_edited_by_nobody_else() {
    let world = World::changelog().await;
    append(&world, &[("x", 1)]).await;
    let early = edits(&world, "id = 'x'", &[]).await.unwrap();
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let late = RowEdits::open(&world.catalog, &world.table, &Arc::default()).await;
    assert_eq!(late.err().map(|error| error.kind()), Some(ErrorKind::Refused));
    assert_eq!(early.commit().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}
