//! What a crash leaves: nothing acknowledged is lost, nothing is told twice.

use std::collections::BTreeSet;
use std::time::Duration;

use local_capture::{Capture, CaptureError, CaptureOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{World, ambient, event_names, sequence_number};

fn keys(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned()).collect()
}

/// Rows that the engine's outbox holds, asked of its file while nobody has it open.
fn outbox_rows(world: &World) -> i64 {
    let file = world.path().join("dynamodb/000000000000/eu-west-1/items.sqlite");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_write_that_nobody_drained_is_in_the_stream_after_a_crash() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    let world = world.restart().await;

    assert_eq!(keys(&world.records(&arn).await), ["a"]);
}

#[tokio::test]
async fn a_crash_between_append_and_trim_neither_loses_nor_repeats_a_record() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    for at in 0..20 {
        world.put_id("orders", &format!("k{at:02}")).await;
    }
    let before = world.records(&arn).await;
    assert_eq!(outbox_rows(&world), 20, "appended, but not trimmed");
    let world = world.restart().await;
    assert_eq!(outbox_rows(&world), 1, "the last row stays, for its number");
    world.put_id("orders", "k20").await;

    let after = world.records(&arn).await;
    assert_eq!(after[..20], before);
    assert_eq!(keys(&after[20..]), ["k20"]);
    assert!(after.is_sorted_by(|left, right| sequence_number(left) < sequence_number(right)));
}

#[tokio::test]
async fn what_was_closed_stays_closed_and_positions_stay_valid_over_a_restart() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    world.clock.advance(Duration::from_secs(4 * 3600));
    let shards = world.shards(&arn).await;
    let iterator = world.iterator(&arn, &shards[0], "TRIM_HORIZON").await;
    let page = world.page(&iterator).await;
    let world = world.restart().await;

    assert_eq!(world.shards(&arn).await, shards);
    assert_eq!(world.page(&iterator).await, page);
}

#[tokio::test]
async fn many_writers_get_each_of_their_records_once() {
    let world = World::with(CaptureOptions { shards_per_table: 3, ..CaptureOptions::default() }).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    let shutdown = CancellationToken::new();
    let duties = tokio::spawn({
        let (capture, shutdown) = (world.capture.clone(), shutdown.clone());
        async move { capture.run(shutdown).await }
    });
    let write = async |writer: usize| {
        for at in 0..100 {
            world.put_id("orders", &format!("{writer}-{at}")).await;
        }
    };
    tokio::join!(write(0), write(1), write(2));
    let records = world.records(&arn).await;
    shutdown.cancel();
    duties.await.unwrap();

    let distinct: BTreeSet<&str> = records.iter().map(sequence_number).collect();
    assert_eq!(distinct.len(), 300);
    assert_eq!(keys(&records).into_iter().collect::<BTreeSet<_>>().len(), 300);
    assert_eq!(records.len(), 300);
}

#[tokio::test]
async fn draining_keeps_the_outbox_short() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    for batch in 0..20 {
        let requests: Vec<Value> =
            (0..25).map(|at| json!({"PutRequest": {"Item": {"id": {"S": format!("{batch}-{at}")}}}})).collect();
        world.dynamodb("BatchWriteItem", json!({"RequestItems": {"orders": requests}})).await;
        world.shards(&arn).await;
    }

    assert!(outbox_rows(&world) <= 225, "{} rows", outbox_rows(&world));
    assert_eq!(world.records(&arn).await.len(), 500);
}

#[tokio::test]
async fn a_folder_in_use_is_named() {
    let world = World::new().await;
    let second = Capture::open(world.path(), world.options.clone(), ambient(&world)).await;

    let Err(CaptureError::InUse(folder)) = second else { panic!("opened twice") };
    assert_eq!(folder, world.path().join("dynamodb"));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_enter_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let mode = std::fs::metadata(world.path().join("dynamodb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn expired_items_are_deleted_by_the_service() {
    let options = CaptureOptions { ttl_sweep: Duration::from_millis(5), ..CaptureOptions::default() };
    let world = World::with(CaptureOptions { shards_per_table: 1, ..options }).await;
    let arn = world.table("sessions", "NEW_AND_OLD_IMAGES").await;
    let specification = json!({"Enabled": true, "AttributeName": "expires"});
    world
        .dynamodb("UpdateTimeToLive", json!({"TableName": "sessions", "TimeToLiveSpecification": specification}))
        .await;
    world.put("sessions", json!({"id": {"S": "old"}, "expires": {"N": "1600000000"}})).await;
    world.put("sessions", json!({"id": {"S": "lasting"}})).await;

    let shutdown = CancellationToken::new();
    let duties = world.capture.run(shutdown.clone());
    let wait = async {
        let records = loop {
            let records = world.records(&arn).await;
            if records.len() == 3 {
                break records;
            }
        };
        shutdown.cancel();
        records
    };
    let ((), records) = tokio::join!(duties, wait);

    assert_eq!(event_names(&records), ["INSERT", "INSERT", "REMOVE"]);
    let identity = json!({"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"});
    assert_eq!(records[2]["userIdentity"], identity);
    assert_eq!(records[2]["dynamodb"]["OldImage"]["expires"]["N"], "1600000000");
    let left = world.dynamodb("Scan", json!({"TableName": "sessions"})).await;
    assert_eq!(left["Items"], json!([{"id": {"S": "lasting"}}]));
}
