//! Where a reader can begin, and for how long.

use std::time::Duration;

use aws_wire::AwsError;
use serde_json::{Value, json};

use crate::support::{World, sequence_number};

fn ids(page: &Value) -> Vec<&str> {
    let records = page["Records"].as_array().unwrap();
    records.iter().map(|record| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap()).collect()
}

async fn three_records() -> (World, String, Value, Vec<String>) {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    for id in ["a", "b", "c"] {
        world.put_id("orders", id).await;
    }
    let shard = world.shards(&arn).await[0].clone();
    let page = world.page(&world.iterator(&arn, &shard, "TRIM_HORIZON").await).await;
    let numbers = page["Records"].as_array().unwrap().iter().map(|record| sequence_number(record).to_owned()).collect();
    (world, arn, shard, numbers)
}

#[tokio::test]
async fn each_type_begins_where_its_name_says() {
    let (world, arn, shard, numbers) = three_records().await;

    let horizon = world.iterator(&arn, &shard, "TRIM_HORIZON").await;
    let at = world.iterator_at(&arn, &shard, "AT_SEQUENCE_NUMBER", &numbers[1]).await.unwrap();
    let after = world.iterator_at(&arn, &shard, "AFTER_SEQUENCE_NUMBER", &numbers[1]).await.unwrap();
    let latest = world.iterator(&arn, &shard, "LATEST").await;

    assert_eq!(ids(&world.page(&horizon).await), ["a", "b", "c"]);
    assert_eq!(ids(&world.page(&at).await), ["b", "c"]);
    assert_eq!(ids(&world.page(&after).await), ["c"]);
    assert_eq!(ids(&world.page(&latest).await), [] as [&str; 0]);
}

#[tokio::test]
async fn latest_is_fixed_when_it_is_issued() {
    let (world, arn, shard, _) = three_records().await;
    let latest = world.iterator(&arn, &shard, "LATEST").await;
    world.put_id("orders", "d").await;

    assert_eq!(ids(&world.page(&latest).await), ["d"]);
}

#[tokio::test]
async fn a_page_is_the_same_however_often_it_is_read() {
    let (world, arn, shard, _) = three_records().await;
    let iterator = world.iterator(&arn, &shard, "TRIM_HORIZON").await;
    let body = json!({"ShardIterator": iterator, "Limit": 2});
    let first = world.streams("GetRecords", body.clone()).await;

    assert_eq!(world.streams("GetRecords", body).await, first);
    assert_eq!(ids(&first), ["a", "b"]);
    assert_eq!(ids(&world.page(first["NextShardIterator"].as_str().unwrap()).await), ["c"]);
}

#[tokio::test]
async fn an_iterator_expires_after_fifteen_minutes() {
    let (world, arn, shard, _) = three_records().await;
    let iterator = world.iterator(&arn, &shard, "TRIM_HORIZON").await;
    world.clock.advance(Duration::from_secs(15 * 60));
    let next = world.page(&iterator).await["NextShardIterator"].as_str().unwrap().to_owned();
    world.clock.advance(Duration::from_millis(1));

    let refused = world.try_streams("GetRecords", json!({"ShardIterator": iterator})).await.unwrap_err();
    assert_eq!(refused.code, "ExpiredIteratorException");
    assert_eq!(ids(&world.page(&next).await), [] as [&str; 0], "each page issues a fresh one");
}

#[tokio::test]
async fn what_is_not_an_iterator_or_a_position_is_refused() {
    let (world, arn, shard, numbers) = three_records().await;
    let shard_id = &shard["ShardId"];
    let ask = |iterator_type: &str, number: Value| {
        let body = json!({
            "StreamArn": arn, "ShardId": shard_id, "ShardIteratorType": iterator_type, "SequenceNumber": number,
        });
        world.try_streams("GetShardIterator", body)
    };
    let code = |outcome: Result<Value, AwsError>| outcome.unwrap_err().code;

    assert_eq!(
        code(world.try_streams("GetRecords", json!({"ShardIterator": "nonsense"})).await),
        "ValidationException"
    );
    assert_eq!(code(world.try_streams("GetRecords", json!({})).await), "ValidationException");
    assert_eq!(code(ask("AT_SEQUENCE_NUMBER", Value::Null).await), "ValidationException");
    assert_eq!(code(ask("AT_SEQUENCE_NUMBER", json!("12")).await), "ValidationException");
    assert_eq!(code(ask("AT_SEQUENCE_NUMBER", json!("x".repeat(21))).await), "ValidationException");
    assert_eq!(code(ask("AT_SEQUENCE_NUMBER", json!("0".repeat(21))).await), "ValidationException");
    assert_eq!(code(ask("AFTER_SEQUENCE_NUMBER", json!("9".repeat(40))).await), "ValidationException");
    // No record has it: whoever began there would miss all that come before.
    assert_eq!(code(ask("AFTER_SEQUENCE_NUMBER", json!(u128::MAX.to_string())).await), "ValidationException");
    assert_eq!(code(ask("LATEST", json!(numbers[0])).await), "ValidationException");
    assert_eq!(code(ask("AT_TIMESTAMP", Value::Null).await), "ValidationException");
}
