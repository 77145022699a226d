//! How shards come, close, are read and go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local_capture::CaptureOptions;
use serde_json::{Value, json};

use crate::support::{World, event_names, sequence_number};

const HOUR: Duration = Duration::from_secs(3600);

async fn world(shards_per_table: u32) -> World {
    World::with(CaptureOptions { shards_per_table, ..CaptureOptions::default() }).await
}

fn number(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

fn starting(shard: &Value) -> u128 {
    number(&shard["SequenceNumberRange"]["StartingSequenceNumber"])
}

#[tokio::test]
async fn an_open_shard_has_a_starting_number_and_no_ending_number() {
    let world = world(3).await;
    let arn = world.table("orders", "KEYS_ONLY").await;

    let shards = world.shards(&arn).await;

    assert_eq!(shards.len(), 3);
    for shard in shards {
        let id = shard["ShardId"].as_str().unwrap();
        assert!((28..=65).contains(&id.len()), "{id}");
        let range = &shard["SequenceNumberRange"];
        assert_eq!(range["StartingSequenceNumber"].as_str().unwrap().len(), 21);
        assert_eq!(range.get("EndingSequenceNumber"), None);
        assert_eq!(shard.get("ParentShardId"), None);
    }
}

#[tokio::test]
async fn a_key_keeps_to_one_line_of_shards_and_its_order() {
    let world = world(3).await;
    let arn = world.table("orders", "NEW_IMAGE").await;
    for round in 0..3 {
        for key in 0..20 {
            world.put("orders", json!({"id": {"S": format!("k{key}")}, "n": {"N": round.to_string()}})).await;
        }
        world.clock.advance(4 * HOUR);
        world.shards(&arn).await;
    }

    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut rounds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut line_of: BTreeMap<String, String> = BTreeMap::new();
    for shard in world.shards(&arn).await {
        let id = shard["ShardId"].as_str().unwrap().to_owned();
        let line = shard["ParentShardId"].as_str().map_or(id.clone(), |parent| line_of[parent].clone());
        line_of.insert(id, line.clone());
        let page = world.page(&world.iterator(&arn, &shard, "TRIM_HORIZON").await).await;
        for record in page["Records"].as_array().unwrap() {
            let key = record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned();
            lines.entry(key.clone()).or_default().insert(line.clone());
            let round = record["dynamodb"]["NewImage"]["n"]["N"].as_str().unwrap().to_owned();
            rounds.entry(key).or_default().push(round);
        }
    }
    assert_eq!(lines.len(), 20);
    assert!(lines.values().all(|lines| lines.len() == 1), "{lines:?}");
    assert!(rounds.values().all(|rounds| *rounds == ["0", "1", "2"]), "{rounds:?}");
    assert_eq!(lines.into_values().flatten().collect::<BTreeSet<_>>().len(), 3, "every shard takes some keys");
}

#[tokio::test]
async fn a_shard_of_age_is_closed_and_gets_a_child_that_begins_after_it() {
    let world = world(1).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    world.clock.advance(4 * HOUR);
    assert_eq!(world.shards(&arn).await.len(), 2);
    world.put_id("orders", "b").await;
    world.clock.advance(4 * HOUR);

    let shards = world.shards(&arn).await;

    assert_eq!(shards.len(), 3);
    for (parent, child) in shards.iter().zip(&shards[1..]) {
        assert_eq!(child["ParentShardId"], parent["ShardId"]);
        let ending = number(&parent["SequenceNumberRange"]["EndingSequenceNumber"]);
        assert!(starting(parent) <= ending && ending < starting(child), "{parent} {child}");
    }
    assert_eq!(shards[2]["SequenceNumberRange"].get("EndingSequenceNumber"), None);
    assert_eq!(world.records(&arn).await.len(), 2);
}

#[tokio::test]
async fn shards_that_hold_nothing_rotate_too() {
    let world = world(2).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.clock.advance(4 * HOUR);
    assert_eq!(world.shards(&arn).await.len(), 4);
    world.clock.advance(4 * HOUR);

    let shards = world.shards(&arn).await;

    assert_eq!(shards.len(), 6);
    let by_id: BTreeMap<&str, &Value> =
        shards.iter().map(|shard| (shard["ShardId"].as_str().unwrap(), shard)).collect();
    for shard in &shards {
        let Some(parent) = shard["ParentShardId"].as_str() else { continue };
        let ending = number(&by_id[parent]["SequenceNumberRange"]["EndingSequenceNumber"]);
        assert!(ending < starting(shard));
    }
}

#[tokio::test]
async fn only_a_closed_shard_that_is_read_to_its_end_has_no_next_iterator() {
    let world = world(1).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    for id in ["a", "b", "c"] {
        world.put_id("orders", id).await;
    }
    let open = &world.shards(&arn).await[0];
    let page = world.page(&world.iterator(&arn, open, "TRIM_HORIZON").await).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 3);
    let waiting = page["NextShardIterator"].as_str().unwrap().to_owned();
    assert!(world.page(&waiting).await["NextShardIterator"].is_string());
    world.clock.advance(4 * HOUR);

    let closed = &world.shards(&arn).await[0];
    let body = json!({"ShardIterator": world.iterator(&arn, closed, "TRIM_HORIZON").await, "Limit": 2});
    let first = world.streams("GetRecords", body).await;
    assert_eq!(first["Records"].as_array().unwrap().len(), 2);
    let last = world.page(first["NextShardIterator"].as_str().unwrap()).await;
    assert_eq!(last["Records"].as_array().unwrap().len(), 1);
    assert_eq!(last.get("NextShardIterator"), None);
    let at_end = world.page(&world.iterator(&arn, closed, "LATEST").await).await;
    assert_eq!((&at_end["Records"], at_end.get("NextShardIterator")), (&json!([]), None));
}

#[tokio::test]
async fn pages_of_shards_join_without_gap_and_children_can_be_asked_for() {
    let world = world(2).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.clock.advance(4 * HOUR);
    let all = world.shards(&arn).await;

    let mut paged = Vec::new();
    let mut start = Value::Null;
    loop {
        let body = json!({"StreamArn": arn, "Limit": 1, "ExclusiveStartShardId": start});
        let description = world.streams("DescribeStream", body).await["StreamDescription"].take();
        paged.extend(description["Shards"].as_array().unwrap().clone());
        match description.get("LastEvaluatedShardId") {
            Some(last) => start = last.clone(),
            None => break,
        }
    }
    assert_eq!(paged, all);

    let parent = &all[0]["ShardId"];
    let body = json!({"StreamArn": arn, "ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": parent}});
    let children = world.streams("DescribeStream", body).await["StreamDescription"]["Shards"].take();
    let children = children.as_array().unwrap();
    assert_eq!(children.len(), 1);
    assert_eq!(&children[0]["ParentShardId"], parent);
    let body = json!({"StreamArn": arn, "ShardFilter": {"Type": "SIBLINGS", "ShardId": parent}});
    assert_eq!(world.try_streams("DescribeStream", body).await.unwrap_err().code, "ValidationException");
}

#[tokio::test]
async fn records_and_descriptors_go_after_a_day() {
    let world = world(1).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "old").await;
    let first = world.shards(&arn).await[0].clone();
    let begun = world.iterator(&arn, &first, "TRIM_HORIZON").await;
    let old = sequence_number(&world.page(&begun).await["Records"][0]).to_owned();
    world.clock.advance(12 * HOUR);
    world.put_id("orders", "new").await;
    assert_eq!(world.records(&arn).await.len(), 2);
    world.clock.advance(12 * HOUR);

    assert_eq!(world.records(&arn).await[0]["dynamodb"]["Keys"]["id"]["S"], "new");
    for iterator_type in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let refused = world.iterator_at(&arn, &first, iterator_type, &old).await.unwrap_err();
        assert_eq!(refused.code, "TrimmedDataAccessException");
    }
    let ids = |shards: Vec<Value>| shards.into_iter().map(|shard| shard["ShardId"].clone()).collect::<Vec<_>>();
    assert!(ids(world.shards(&arn).await).contains(&first["ShardId"]), "it was closed 12 hours ago");
    world.clock.advance(13 * HOUR);
    assert_eq!(world.records(&arn).await, [] as [Value; 0]);
    assert!(!ids(world.shards(&arn).await).contains(&first["ShardId"]));
    let refused = world.iterator_at(&arn, &first, "AFTER_SEQUENCE_NUMBER", &old).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn an_iterator_whose_next_record_is_trimmed_says_so() {
    let world = World::with(CaptureOptions {
        shards_per_table: 1,
        retention: Duration::from_secs(60),
        ..CaptureOptions::default()
    })
    .await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    let shard = world.shards(&arn).await[0].clone();
    let horizon = world.iterator(&arn, &shard, "TRIM_HORIZON").await;
    let first = sequence_number(&world.page(&horizon).await["Records"][0]).to_owned();
    let at = world.iterator_at(&arn, &shard, "AT_SEQUENCE_NUMBER", &first).await.unwrap();
    let after = world.iterator_at(&arn, &shard, "AFTER_SEQUENCE_NUMBER", &first).await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    world.put_id("orders", "b").await;

    let refused = world.try_streams("GetRecords", json!({"ShardIterator": at})).await.unwrap_err();
    assert_eq!(refused.code, "TrimmedDataAccessException");
    assert_eq!(world.page(&after).await["Records"][0]["dynamodb"]["Keys"]["id"]["S"], "b");
    let page = world.page(&horizon).await;
    assert_eq!(event_names(page["Records"].as_array().unwrap()), ["INSERT"], "it follows the trimming");
}

#[tokio::test]
async fn a_record_is_trimmed_in_time_also_in_a_shard_that_was_empty() {
    let retention = Duration::from_secs(60);
    let world = World::with(CaptureOptions { shards_per_table: 1, retention, ..CaptureOptions::default() }).await;
    let arn = world.table("orders", "KEYS_ONLY").await;
    world.shards(&arn).await;
    world.put_id("orders", "a").await;
    assert_eq!(world.records(&arn).await.len(), 1);
    world.clock.advance(retention);

    assert_eq!(world.records(&arn).await.len(), 0);
}

#[tokio::test]
async fn a_page_holds_a_megabyte_or_a_thousand_records() {
    let world = world(1).await;
    let arn = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    let text = "x".repeat(390_000);
    for round in 0..2 {
        for id in ["a", "b", "c"] {
            world.put("orders", json!({"id": {"S": id}, "n": {"N": round.to_string()}, "text": {"S": text}})).await;
        }
    }
    for at in 0..1_001 {
        world.put_id("orders", &format!("small{at}")).await;
    }
    let shard = world.shards(&arn).await[0].clone();
    let mut iterator = world.iterator(&arn, &shard, "TRIM_HORIZON").await;
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 1_007 {
        let page = world.page(&iterator).await;
        counts.push(page["Records"].as_array().unwrap().len());
        iterator = page["NextShardIterator"].as_str().unwrap().to_owned();
    }
    assert_eq!(counts[..4], [2, 1, 1, 1], "images of 390 kB");
    assert!(counts.iter().all(|count| *count <= 1_000), "{counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), 1_007);
    let body = json!({"ShardIterator": iterator, "Limit": 1001});
    assert_eq!(world.try_streams("GetRecords", body).await.unwrap_err().code, "LimitExceededException");
}
