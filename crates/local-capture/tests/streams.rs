//! The life of a stream: enabled, disabled, enabled again, listed, forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, event_names};

async fn switch(world: &World, table: &str, specification: Value) -> Value {
    let body = json!({"TableName": table, "StreamSpecification": specification});
    world.dynamodb("UpdateTable", body).await["TableDescription"].take()
}

fn off() -> Value {
    json!({"StreamEnabled": false})
}

fn on(view_type: &str) -> Value {
    json!({"StreamEnabled": true, "StreamViewType": view_type})
}

async fn description(world: &World, arn: &str) -> Value {
    world.streams("DescribeStream", json!({"StreamArn": arn})).await["StreamDescription"].take()
}

#[tokio::test]
async fn a_table_names_its_stream_by_arn_and_label() {
    let world = World::new().await;
    let arn = world.table("orders", "NEW_IMAGE").await;

    let table = world.dynamodb("DescribeTable", json!({"TableName": "orders"})).await["Table"].take();
    let stream = description(&world, &arn).await;

    assert_eq!(arn, "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-11-22T07:12:16.123");
    assert_eq!(table["TableArn"], "arn:aws:dynamodb:eu-west-1:000000000000:table/orders");
    assert_eq!(table["LatestStreamArn"], arn);
    assert_eq!(table["LatestStreamLabel"], "2026-11-22T07:12:16.123");
    assert_eq!(table["StreamSpecification"], on("NEW_IMAGE"));
    assert_eq!(stream["StreamArn"], arn);
    assert_eq!(stream["StreamLabel"], "2026-11-22T07:12:16.123");
    assert_eq!(stream["StreamStatus"], "ENABLED");
    assert_eq!(stream["StreamViewType"], "NEW_IMAGE");
    assert_eq!(stream["TableName"], "orders");
    assert_eq!(stream["KeySchema"], json!([{"AttributeName": "id", "KeyType": "HASH"}]));
    assert_eq!(stream["CreationRequestDateTime"], 1_795_331_536.123);
}

#[tokio::test]
async fn enabling_again_makes_a_new_stream_and_the_old_one_stays_readable() {
    let world = World::new().await;
    let first = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    world.put_id("orders", "seen").await;
    let disabled = switch(&world, "orders", off()).await;
    world.put_id("orders", "unseen").await;
    let enabled = switch(&world, "orders", on("KEYS_ONLY")).await;
    world.put_id("orders", "seen again").await;

    assert_eq!(disabled["LatestStreamArn"], first);
    assert_eq!(disabled.get("StreamSpecification"), None);
    let second = enabled["LatestStreamArn"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(enabled["StreamSpecification"], on("KEYS_ONLY"));
    let old = description(&world, &first).await;
    assert_eq!(old["StreamStatus"], "DISABLED");
    assert!(old["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"].is_string());
    let ids =
        |records: Vec<Value>| records.iter().map(|r| r["dynamodb"]["Keys"]["id"]["S"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(world.records(&first).await), ["seen"]);
    assert_eq!(ids(world.records(second).await), ["seen again"]);

    world.clock.advance(Duration::from_secs(24 * 3600));
    let gone = world.try_streams("DescribeStream", json!({"StreamArn": first})).await.unwrap_err();
    assert_eq!(gone.code, "ResourceNotFoundException");
    assert_eq!(description(&world, second).await["StreamStatus"], "ENABLED");
}

#[tokio::test]
async fn a_stream_is_neither_enabled_nor_disabled_twice() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let again = json!({"TableName": "orders", "StreamSpecification": on("KEYS_ONLY")});
    assert_eq!(world.try_dynamodb("UpdateTable", again).await.unwrap_err().code, "ValidationException");
    switch(&world, "orders", off()).await;
    let again = json!({"TableName": "orders", "StreamSpecification": off()});
    assert_eq!(world.try_dynamodb("UpdateTable", again).await.unwrap_err().code, "ValidationException");
    let missing = json!({"TableName": "nothing", "StreamSpecification": on("KEYS_ONLY")});
    assert_eq!(world.try_dynamodb("UpdateTable", missing).await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_specification_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    for specification in [
        json!({"StreamEnabled": true}),
        json!({"StreamEnabled": true, "StreamViewType": "EVERYTHING"}),
        json!({"StreamEnabled": false, "StreamViewType": "KEYS_ONLY"}),
        json!({"StreamViewType": "KEYS_ONLY"}),
    ] {
        let body = json!({
            "TableName": "orders",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": specification,
        });
        let refused = world.try_dynamodb("CreateTable", body).await.unwrap_err();
        assert_eq!((&*refused.code, refused.status.as_u16()), ("ValidationException", 400), "{specification}");
    }
    assert_eq!(world.streams("ListStreams", json!({})).await["Streams"], json!([]));
}

#[tokio::test]
async fn a_table_that_exists_keeps_its_stream_when_it_is_created_again() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    let body = json!({
        "TableName": "orders",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": on("NEW_IMAGE"),
    });
    assert_eq!(world.try_dynamodb("CreateTable", body).await.unwrap_err().code, "ResourceInUseException");
    world.put_id("orders", "a").await;

    assert_eq!(world.records(&arn).await.len(), 1);
    assert_eq!(world.streams("ListStreams", json!({})).await["Streams"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_stream_of_a_deleted_table_can_still_be_read() {
    let world = World::new().await;
    let first = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    world.dynamodb("DeleteTable", json!({"TableName": "orders"})).await;
    world.clock.advance(Duration::from_secs(1));
    let second = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "b").await;

    assert_ne!(first, second);
    assert_eq!(description(&world, &first).await["StreamStatus"], "DISABLED");
    assert_eq!(event_names(&world.records(&first).await), ["INSERT"]);
    assert_eq!(world.records(&second).await[0]["dynamodb"]["Keys"]["id"]["S"], "b");
    assert_eq!(world.records(&second).await.len(), 1);
}

#[tokio::test]
async fn an_iterator_of_one_stream_does_not_read_the_next_one_of_the_table() {
    let world = World::new().await;
    let first = world.table("orders", "KEYS_ONLY").await;
    let shard = world.shards(&first).await[0].clone();
    let iterator = world.iterator(&first, &shard, "LATEST").await;
    switch(&world, "orders", off()).await;
    switch(&world, "orders", on("KEYS_ONLY")).await;
    world.put_id("orders", "a").await;

    let page = world.page(&iterator).await;
    assert_eq!((&page["Records"], page.get("NextShardIterator")), (&json!([]), None));
}

#[tokio::test]
async fn streams_are_listed_page_by_page_and_by_table() {
    let world = World::new().await;
    let mut arns = vec![world.table("aaa", "KEYS_ONLY").await, world.table("bbb", "KEYS_ONLY").await];
    switch(&world, "bbb", off()).await;
    world.clock.advance(Duration::from_secs(1));
    arns.push(switch(&world, "bbb", on("KEYS_ONLY")).await["LatestStreamArn"].as_str().unwrap().to_owned());
    arns.push(world.table("ccc", "KEYS_ONLY").await);

    let mut listed = Vec::new();
    let mut start = Value::Null;
    loop {
        let answer = world.streams("ListStreams", json!({"Limit": 1, "ExclusiveStartStreamArn": start})).await;
        listed
            .extend(answer["Streams"].as_array().unwrap().iter().map(|s| s["StreamArn"].as_str().unwrap().to_owned()));
        match answer.get("LastEvaluatedStreamArn") {
            Some(last) => start = last.clone(),
            None => break,
        }
    }
    assert_eq!(listed, arns);
    let of_table = world.streams("ListStreams", json!({"TableName": "bbb"})).await;
    assert_eq!(of_table["Streams"].as_array().unwrap().len(), 2);
    assert_eq!(of_table["Streams"][0]["StreamLabel"], "2026-11-22T07:12:16.123");
}

#[tokio::test]
async fn regions_do_not_see_one_another() {
    let world = World::new().await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    let world = world.in_region("us-east-1");

    assert_eq!(world.dynamodb("ListTables", json!({})).await["TableNames"], json!([]));
    assert_eq!(world.streams("ListStreams", json!({})).await["Streams"], json!([]));
    let refused = world.try_streams("DescribeStream", json!({"StreamArn": arn})).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
    let world = world.in_region("../../etc");
    assert_eq!(world.try_dynamodb("ListTables", json!({})).await.unwrap_err().code, "UnrecognizedClientException");
}
