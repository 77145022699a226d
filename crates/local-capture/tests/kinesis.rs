//! What time does to Kinesis streams: iterators, records and shards expire.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::World;

const HOUR: Duration = Duration::from_secs(3_600);
const SHARD: &str = "shardId-000000000000";

async fn stream() -> World {
    let world = World::new().await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    world
}

async fn put(world: &World, data: &str) -> Value {
    let data = STANDARD.encode(data);
    world.kinesis("PutRecord", json!({"StreamName": "s", "PartitionKey": "k", "Data": data})).await
}

async fn iterator(world: &World, kind: &str) -> String {
    let request = json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": kind});
    world.kinesis("GetShardIterator", request).await["ShardIterator"].as_str().unwrap().to_owned()
}

async fn read(world: &World) -> Vec<String> {
    let iterator = iterator(world, "TRIM_HORIZON").await;
    let page = world.kinesis("GetRecords", json!({"ShardIterator": iterator})).await;
    let data = |record: &Value| String::from_utf8(STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap();
    page["Records"].as_array().unwrap().iter().map(data).collect()
}

async fn change_retention(world: &World, operation: &str, hours: u32) {
    world.kinesis(operation, json!({"StreamName": "s", "RetentionPeriodHours": hours})).await;
}

#[tokio::test]
async fn an_iterator_lives_for_five_minutes() {
    let world = stream().await;
    let iterator = iterator(&world, "LATEST").await;
    world.clock.advance(Duration::from_secs(300));
    world.kinesis("GetRecords", json!({"ShardIterator": iterator})).await;
    world.clock.advance(Duration::from_secs(1));
    let refused = world.try_kinesis("GetRecords", json!({"ShardIterator": iterator})).await.unwrap_err();
    assert_eq!(refused.code, "ExpiredIteratorException");
}

#[tokio::test]
async fn records_expire_when_their_retention_ends_and_a_longer_one_revives_nothing() {
    let world = stream().await;
    put(&world, "a").await;
    world.clock.advance(HOUR);
    put(&world, "b").await;
    world.clock.advance(23 * HOUR);
    assert_eq!(read(&world).await, ["a", "b"]);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(read(&world).await, ["b"]);
    change_retention(&world, "IncreaseStreamRetentionPeriod", 8_760).await;
    assert_eq!(read(&world).await, ["b"]);
    world.clock.advance(100 * HOUR);
    assert_eq!(read(&world).await, ["b"]);
    change_retention(&world, "DecreaseStreamRetentionPeriod", 24).await;
    change_retention(&world, "IncreaseStreamRetentionPeriod", 8_760).await;
    assert_eq!(read(&world).await, [] as [&str; 0]);
}

#[tokio::test]
async fn numbers_go_on_after_everything_has_expired_and_the_service_was_started_again() {
    let world = stream().await;
    let first = put(&world, "a").await;
    world.clock.advance(48 * HOUR);
    let world = world.restart().await;
    let second = put(&world, "b").await;
    assert!(second["SequenceNumber"].as_str() > first["SequenceNumber"].as_str());
    assert_eq!(read(&world).await, ["b"]);
}

#[tokio::test]
async fn a_closed_shard_is_listed_until_its_records_have_expired() {
    let world = stream().await;
    put(&world, "a").await;
    let split = json!({"StreamName": "s", "ShardToSplit": SHARD, "NewStartingHashKey": "1000"});
    world.kinesis("SplitShard", split).await;
    let listed = async |world: &World| {
        let listing = world.kinesis("ListShards", json!({"StreamName": "s"})).await;
        listing["Shards"].as_array().unwrap().len()
    };
    assert_eq!(listed(&world).await, 3);
    world.clock.advance(25 * HOUR);
    assert_eq!(listed(&world).await, 2);
}

#[tokio::test]
async fn a_listing_goes_on_for_five_minutes() {
    let world = World::new().await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 3})).await;
    let page = world.kinesis("ListShards", json!({"StreamName": "s", "MaxResults": 2})).await;
    let next = json!({"NextToken": page["NextToken"]});
    assert_eq!(world.kinesis("ListShards", next.clone()).await["Shards"].as_array().unwrap().len(), 1);
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(world.try_kinesis("ListShards", next).await.unwrap_err().code, "ExpiredNextTokenException");
}
