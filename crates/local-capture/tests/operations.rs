//! The operations on tables and items: what reaches the engine, and what we answer ourselves.

use serde_json::{Value, json};

use crate::support::{World, event_names};

#[tokio::test]
async fn every_way_to_write_reaches_the_stream() {
    let world = World::new().await;
    let arn = world.table("orders", "NEW_AND_OLD_IMAGES").await;
    let put = |id: &str| json!({"PutRequest": {"Item": {"id": {"S": id}}}});
    world.dynamodb("BatchWriteItem", json!({"RequestItems": {"orders": [put("a"), put("b")]}})).await;
    let update = json!({
        "TableName": "orders",
        "Key": {"id": {"S": "a"}},
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    });
    world.dynamodb("UpdateItem", update).await;
    let transaction = json!({"TransactItems": [
        {"Put": {"TableName": "orders", "Item": {"id": {"S": "c"}}}},
        {"Delete": {"TableName": "orders", "Key": {"id": {"S": "b"}}}},
    ]});
    world.dynamodb("TransactWriteItems", transaction).await;
    world.dynamodb("ExecuteStatement", json!({"Statement": "INSERT INTO orders VALUE {'id': 'd'}"})).await;
    let statements = json!([{"Statement": "UPDATE orders SET n = 2 WHERE id = 'd'"}]);
    world.dynamodb("BatchExecuteStatement", json!({"Statements": statements})).await;
    let statements = json!([{"Statement": "DELETE FROM orders WHERE id = 'd'"}]);
    world.dynamodb("ExecuteTransaction", json!({"TransactStatements": statements})).await;

    let names = world.records(&arn).await;
    assert_eq!(event_names(&names), ["INSERT", "INSERT", "MODIFY", "INSERT", "REMOVE", "INSERT", "MODIFY", "REMOVE"]);
}

#[tokio::test]
async fn items_are_read_back_by_key_query_and_scan() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let item = json!({
        "id": {"S": "a"},
        "number": {"N": "12345678901234567890123456789012345678"},
        "nested": {"M": {"list": {"L": [{"BOOL": true}, {"NULL": true}, {"B": "AAE="}]}}},
        "set": {"SS": ["x", "y"]},
    });
    world.put("orders", item.clone()).await;

    let key = json!({"id": {"S": "a"}});
    assert_eq!(world.dynamodb("GetItem", json!({"TableName": "orders", "Key": key})).await["Item"], item);
    let query = json!({
        "TableName": "orders",
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "a"}},
    });
    assert_eq!(world.dynamodb("Query", query).await["Items"], json!([item]));
    assert_eq!(world.dynamodb("Scan", json!({"TableName": "orders"})).await["Count"], 1);
    let keys = json!({"RequestItems": {"orders": {"Keys": [key]}}});
    assert_eq!(world.dynamodb("BatchGetItem", keys).await["Responses"]["orders"], json!([item]));
}

#[tokio::test]
async fn arns_name_the_callers_region_and_item_contents_are_left_alone() {
    let world = World::new().await;
    let body = json!({
        "TableName": "orders",
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "day", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-day",
            "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let created = world.dynamodb("CreateTable", body).await["TableDescription"].take();
    let arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders";
    assert_eq!(created["TableArn"], arn);
    assert_eq!(created["GlobalSecondaryIndexes"][0]["IndexArn"], format!("{arn}/index/by-day"));

    let foreign = "arn:aws:dynamodb:dynoxide:000000000000:table/orders";
    world.put("orders", json!({"id": {"S": foreign}})).await;
    assert_eq!(world.dynamodb("Scan", json!({"TableName": "orders"})).await["Items"][0]["id"]["S"], foreign);
}

#[tokio::test]
async fn tables_are_tagged_by_their_arn() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders";
    let tags = json!([{"Key": "team", "Value": "lake"}]);
    world.dynamodb("TagResource", json!({"ResourceArn": arn, "Tags": tags})).await;
    assert_eq!(world.dynamodb("ListTagsOfResource", json!({"ResourceArn": arn})).await["Tags"], tags);
    world.dynamodb("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["team"]})).await;
    assert_eq!(world.dynamodb("ListTagsOfResource", json!({"ResourceArn": arn})).await["Tags"], json!([]));
    let elsewhere = arn.replace("eu-west-1", "us-east-1");
    let refused = world.try_dynamodb("ListTagsOfResource", json!({"ResourceArn": elsewhere})).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn what_is_not_served_is_named() {
    let world = World::new().await;
    for operation in ["CreateBackup", "ExportTableToPointInTime", "NoSuchThing"] {
        let refused = world.try_dynamodb(operation, json!({"TableName": "orders"})).await.unwrap_err();
        assert_eq!(refused.code, "UnknownOperationException");
        assert!(refused.message.contains(operation), "{}", refused.message);
    }
    let refused = world.try_streams("PutRecords", json!({})).await.unwrap_err();
    assert_eq!(refused.code, "UnknownOperationException");
    world.table("orders", "KEYS_ONLY").await;
    let refused = world.try_dynamodb("UpdateTable", json!({"TableName": "orders", "ReplicaUpdates": []})).await;
    assert!(refused.unwrap_err().message.contains("ReplicaUpdates"));
}

#[tokio::test]
async fn the_account_answers_for_itself() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let endpoints = world.dynamodb("DescribeEndpoints", json!({})).await;
    assert_eq!(endpoints["Endpoints"][0]["Address"], "127.0.0.1:4566");
    assert_eq!(world.dynamodb("DescribeLimits", json!({})).await["TableMaxReadCapacityUnits"], 40_000);
}

#[tokio::test]
async fn point_in_time_recovery_is_of_the_table_and_not_of_its_name() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let told = |answer: Value| answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone();
    let orders = json!({"TableName": "orders"});
    let off = told(world.dynamodb("DescribeContinuousBackups", orders.clone()).await);
    assert_eq!(off, json!({"PointInTimeRecoveryStatus": "DISABLED"}));
    let update =
        |specification: Value| json!({"TableName": "orders", "PointInTimeRecoverySpecification": specification});
    let on = update(json!({"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7}));
    let on = told(world.dynamodb("UpdateContinuousBackups", on).await);
    assert_eq!((&on["PointInTimeRecoveryStatus"], &on["RecoveryPeriodInDays"]), (&json!("ENABLED"), &json!(7)));
    assert!(on["EarliestRestorableDateTime"].as_f64() <= on["LatestRestorableDateTime"].as_f64());
    assert_eq!(told(world.dynamodb("DescribeContinuousBackups", orders.clone()).await), on);

    for wrong in [json!({}), json!({"PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 36})] {
        let refused = world.try_dynamodb("UpdateContinuousBackups", update(wrong)).await.unwrap_err();
        assert_eq!(refused.code, "ValidationException");
    }
    for operation in ["DescribeContinuousBackups", "UpdateContinuousBackups"] {
        let missing = world.try_dynamodb(operation, json!({"TableName": "none"})).await.unwrap_err();
        assert_eq!(missing.code, "TableNotFoundException");
    }
    world.dynamodb("DeleteTable", orders.clone()).await;
    world.table("orders", "KEYS_ONLY").await;
    assert_eq!(told(world.dynamodb("DescribeContinuousBackups", orders).await), off);
}

#[tokio::test]
async fn errors_have_the_names_and_members_that_people_catch() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    world.put_id("orders", "a").await;
    let put_once = json!({
        "TableName": "orders",
        "Item": {"id": {"S": "a"}},
        "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    });
    let refused = world.try_dynamodb("PutItem", put_once.clone()).await.unwrap_err();
    assert_eq!(refused.code, "ConditionalCheckFailedException");
    assert_eq!(refused.message, "The conditional request failed");
    assert_eq!(refused.details["Item"], json!({"id": {"S": "a"}}));
    let refused = world.try_dynamodb("TransactWriteItems", json!({"TransactItems": [{"Put": put_once}]})).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "TransactionCanceledException");
    assert_eq!(refused.details["CancellationReasons"][0]["Code"], "ConditionalCheckFailed");
    let refused = world.try_dynamodb("DescribeTable", json!({"TableName": "none"})).await.unwrap_err();
    assert_eq!(refused.code, "ResourceNotFoundException");
    let refused = world.try_dynamodb("PutItem", json!({"TableName": "orders", "Item": {}})).await.unwrap_err();
    assert_eq!((&*refused.code, refused.namespace), ("ValidationException", Some("com.amazon.coral.validate")));
}

#[tokio::test]
async fn malformed_requests_are_refused_without_harm() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let code = async |operation: &str, body: &str| world.try_dynamodb_text(operation, body).await.unwrap_err().code;
    assert_eq!(code("PutItem", "not json").await, "SerializationException");
    assert_eq!(code("PutItem", "").await, "SerializationException");
    assert_eq!(code("CreateTable", "[").await, "SerializationException");
    assert_eq!(code("DescribeTable", "[]").await, "SerializationException");

    let nested = |depth: usize| {
        let value = (0..depth).fold(json!({"S": "x"}), |value, _| json!({"L": [value]}));
        json!({"TableName": "orders", "Item": {"id": {"S": "deep"}, "value": value}}).to_string()
    };
    assert!(world.try_dynamodb_text("PutItem", &nested(31)).await.is_ok());
    for depth in [32, 40, 60, 100, 1000] {
        let refused = world.try_dynamodb_text("PutItem", &nested(depth)).await.unwrap_err();
        assert_eq!(refused.code, "ValidationException", "{depth}");
        assert!(refused.message.contains("Nesting Levels have exceeded supported limits"), "{}", refused.message);
    }
    let large = json!({"TableName": "orders", "Item": {"id": {"S": "large"}, "text": {"S": "x".repeat(400 * 1024)}}});
    assert_eq!(code("PutItem", &large.to_string()).await, "ValidationException");
    assert_eq!(world.dynamodb("Scan", json!({"TableName": "orders"})).await["Count"], 1);
}

#[tokio::test]
async fn expressions_that_nest_deeply_are_refused_or_run_but_never_abort() {
    let world = World::new().await;
    world.table("orders", "KEYS_ONLY").await;
    let values = json!({":v": {"S": "x"}});
    let scan = |filter: String, values: &Value| json!({"TableName": "orders", "FilterExpression": filter, "ExpressionAttributeValues": values});
    for filter in [
        format!("{}id = :v{}", "(".repeat(2040), ")".repeat(2040)),
        "(".repeat(4096),
        format!("{}id = :v", "NOT ".repeat(1000)),
    ] {
        let _ = world.try_dynamodb("Scan", scan(filter, &values)).await;
    }
    for statement in [
        format!("SELECT * FROM orders WHERE {}id = 'x'{}", "(".repeat(4000), ")".repeat(4000)),
        format!("SELECT * FROM orders WHERE {}id = 'x'", "NOT ".repeat(1900)),
        format!("INSERT INTO orders VALUE {{'id': 'a', 'l': {}{}}}", "[".repeat(4000), "]".repeat(4000)),
    ] {
        let _ = world.try_dynamodb("ExecuteStatement", json!({"Statement": statement})).await;
    }
    world.put_id("orders", "a").await;
    assert_eq!(world.dynamodb("Scan", json!({"TableName": "orders"})).await["Count"], 1);
}
