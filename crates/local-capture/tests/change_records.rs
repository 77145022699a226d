//! What a write leaves in the stream.

use serde_json::{Value, json};

use crate::support::{World, event_names, sequence_number};

#[tokio::test]
async fn a_record_has_the_shape_that_aws_gives_it() {
    let world = World::new().await;
    let arn = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    world.put("orders", json!({"id": {"S": "a"}, "total": {"N": "12.50"}})).await;

    let records = world.records(&arn).await;

    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["eventVersion"], "1.1");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert_eq!(record["awsRegion"], "eu-west-1");
    assert_eq!(record["eventID"].as_str().unwrap().len(), 32);
    assert_eq!(record.get("userIdentity"), None);
    let change = &record["dynamodb"];
    assert_eq!(change["Keys"], json!({"id": {"S": "a"}}));
    assert_eq!(change["NewImage"], json!({"id": {"S": "a"}, "total": {"N": "12.5"}}));
    assert_eq!(change.get("OldImage"), None);
    assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
    // Keys: 2 + 1; image: 2 + 1 + 5 + 3, where 12.5 takes three bytes.
    assert_eq!(change["SizeBytes"], 14);
    assert!(change["ApproximateCreationDateTime"].is_u64(), "{change}");
    assert_eq!(sequence_number(record).len(), 21);
}

#[tokio::test]
async fn insert_modify_and_remove_follow_one_another() {
    let world = World::new().await;
    let arn = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    world.put("orders", json!({"id": {"S": "a"}, "n": {"N": "1"}})).await;
    world.put("orders", json!({"id": {"S": "a"}, "n": {"N": "2"}})).await;
    world.delete("orders", "a").await;

    let records = world.records(&arn).await;

    assert_eq!(event_names(&records), ["INSERT", "MODIFY", "REMOVE"]);
    assert_eq!(records[1]["dynamodb"]["OldImage"]["n"]["N"], "1");
    assert_eq!(records[1]["dynamodb"]["NewImage"]["n"]["N"], "2");
    assert_eq!(records[2]["dynamodb"]["OldImage"]["n"]["N"], "2");
    assert_eq!(records[2]["dynamodb"].get("NewImage"), None);
    assert!(records.is_sorted_by(|left, right| sequence_number(left) < sequence_number(right)));
}

#[tokio::test]
async fn a_view_type_shows_only_what_it_names() {
    for (view_type, has_new, has_old) in [
        ("KEYS_ONLY", false, false),
        ("NEW_IMAGE", true, false),
        ("OLD_IMAGE", false, true),
        ("NEW_AND_OLD_IMAGES", true, true),
    ] {
        let world = World::new().await;
        let arn = world.table("orders", view_type).await;
        world.put("orders", json!({"id": {"S": "a"}, "n": {"N": "1"}})).await;
        world.put("orders", json!({"id": {"S": "a"}, "n": {"N": "2"}})).await;

        let records = world.records(&arn).await;

        let change = &records[1]["dynamodb"];
        assert_eq!(change["StreamViewType"], view_type);
        assert_eq!(change.get("NewImage").is_some(), has_new, "{view_type}");
        assert_eq!(change.get("OldImage").is_some(), has_old, "{view_type}");
        assert_eq!(change["Keys"], json!({"id": {"S": "a"}}));
    }
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_record() {
    let world = World::new().await;
    let arn = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    let item = |number: &str, letters: Value| json!({"id": {"S": "a"}, "n": {"N": number}, "s": {"SS": letters}, "m": {"M": {"l": {"L": [{"NS": ["1", "2"]}]}}}});
    world.put("orders", item("1.0", json!(["x", "y"]))).await;
    world.put("orders", item("1", json!(["y", "x"]))).await;
    world.put("orders", item("10E-1", json!(["x", "y"]))).await;
    world.put("orders", item("2", json!(["x", "y"]))).await;
    world.delete("orders", "no such item").await;

    assert_eq!(event_names(&world.records(&arn).await), ["INSERT", "MODIFY"]);
}

#[tokio::test]
async fn a_table_without_a_stream_has_no_stream() {
    let world = World::new().await;
    let answer = world
        .dynamodb(
            "CreateTable",
            json!({
                "TableName": "quiet",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            }),
        )
        .await;
    world.put_id("quiet", "a").await;

    assert_eq!(answer["TableDescription"].get("LatestStreamArn"), None);
    assert_eq!(world.streams("ListStreams", json!({})).await["Streams"], json!([]));
}
