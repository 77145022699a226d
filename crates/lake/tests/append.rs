//! Rows that people add: all in one snapshot, whatever the catalog answers, and never to a table of a pipeline.

use lake::{Appender, ErrorKind};

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, object_count, rows_of, upserts};

async fn append(world: &World, rows: &[(&str, i64)]) -> lake::Result<u64> {
    let mut appender = Appender::open(&world.catalog, &world.table).await?;
    for batch in upserts(rows).upserts {
        appender.write(batch).await?;
    }
    appender.commit().await
}

#[tokio::test(start_paused = true)]
async fn rows_are_there_once_whatever_the_catalog_answers() {
    let faults: [&[Fault]; 7] = [
        &[],
        &[Fault::Reject409; 3],
        &[Fault::FailBefore503, Fault::FailAfterWrite503],
        &[Fault::Reset],
        &[Fault::Unreadable],
        &[Fault::Hold],
        &[Fault::Hold, Fault::Forbid403],
    ];
    for faults in faults {
        let world = World::changelog().await;
        append(&world, &[("x", 1)]).await.unwrap();
        world.double.script(faults.iter().copied());
        assert_eq!(append(&world, &[("y", 2), ("z", 3)]).await.unwrap(), 2, "{faults:?}");
        world.double.release();
        assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2), ("z", 3)]), "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_refused_leave_nothing_behind() {
    let world = World::changelog().await;
    append(&world, &[("x", 1)]).await.unwrap();
    let objects = object_count(&world).await;
    world.double.script([Fault::Forbid403]);
    assert_eq!(append(&world, &[("y", 2)]).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(object_count(&world).await, objects);
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_a_pipeline_writes_takes_no_rows_of_others() {
    let world = World::changelog().await;
    let mut early = Appender::open(&world.catalog, &world.table).await.unwrap();
    for batch in upserts(&[("y", 2)]).upserts {
        early.write(batch).await.unwrap();
    }
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();

    let error = append(&world, &[("z", 3)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("pipeline orders writes"), "{error}");
    let objects = object_count(&world).await;
    assert_eq!(early.commit().await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(object_count(&world).await, objects, "what it had written meanwhile is gone again");
    assert_eq!(world.rows().await, rows_of(&[("x", 1)]));
}
