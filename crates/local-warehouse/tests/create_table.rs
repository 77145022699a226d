use serde_json::{Value, json};

use crate::support::table::metadata;
use crate::support::{BUCKET_ARN, Served, encoded, serve};

async fn create(served: &Served, body: Value) -> (u16, Value) {
    served.tables("PUT", &format!("/tables/{}/sales", encoded(BUCKET_ARN)), body).await
}

async fn loaded(served: &Served, name: &str) -> Value {
    let (status, answer) = served.iceberg("GET", &format!("namespaces/sales/tables/{name}"), Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    metadata(&answer);
    answer["metadata"].clone()
}

fn table(name: &str, iceberg: Value) -> Value {
    json!({ "name": name, "format": "ICEBERG", "metadata": { "iceberg": iceberg } })
}

#[tokio::test]
async fn the_blogs_table_has_its_22_columns() {
    let served = serve().await.with_namespace().await;
    let columns = "transaction_id string, timestamp long, customer_id string, date date, hour int, minute int, \
        transaction_type string, amount decimal(12,2), currency string, merchant_category string, \
        payment_method string, region string, risk_score string, status string, processing_timestamp long, \
        device_type string, authentication_method string, merchant_id string, velocity_check string, \
        amount_threshold string, location_risk string, pattern_match string";
    let fields: Vec<Value> = columns
        .split(", ")
        .enumerate()
        .map(|(i, column)| {
            let (name, kind) = column.trim().split_once(' ').unwrap();
            json!({ "name": name, "type": kind, "required": i == 0 })
        })
        .collect();
    let (status, answer) = create(&served, table("transactions", json!({ "schema": { "fields": fields } }))).await;
    assert_eq!(status, 200, "{answer}");
    let metadata = loaded(&served, "transactions").await;
    let found = metadata["schemas"][0]["fields"].as_array().unwrap();
    assert_eq!(found.len(), 22);
    assert_eq!(found[0], json!({ "id": 1, "name": "transaction_id", "required": true, "type": "string" }));
    assert_eq!(found[7]["type"], "decimal(12, 2)");
    assert_eq!(metadata["format-version"], 2);
}

#[tokio::test]
async fn nested_types_partitions_order_and_properties_are_kept() {
    let served = serve().await.with_namespace().await;
    let schema = json!({ "type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
        { "id": 1, "name": "id", "type": "string", "required": true },
        { "id": 2, "name": "at", "type": "timestamptz", "required": true },
        { "id": 3, "name": "lines", "required": false, "type": { "type": "list", "element-id": 4,
            "element-required": true, "element": { "type": "struct", "fields": [
                { "id": 5, "name": "price", "type": "decimal(38, 9)", "required": false, "doc": "each" },
                { "id": 6, "name": "tags", "required": false, "type": { "type": "map", "key-id": 7, "key": "string",
                    "value-id": 8, "value": "long", "value-required": false } }
            ] } } }
    ] });
    let iceberg = json!({
        "schemaV2": schema,
        "partitionSpec": { "fields": [
            { "source-id": 2, "transform": "day", "name": "at_day" },
            { "source-id": 1, "transform": "bucket[16]", "name": "id_bucket", "field-id": 1001 }
        ] },
        "writeOrder": { "order-id": 1, "fields": [
            { "source-id": 1, "transform": "identity", "direction": "asc", "null-order": "nulls-first" }
        ] },
        "properties": { "write.parquet.compression-codec": "zstd", "write.metadata.previous-versions-max": "7" }
    });
    let (status, answer) = create(&served, table("nested", iceberg)).await;
    assert_eq!(status, 200, "{answer}");
    let metadata = loaded(&served, "nested").await;
    let fields = &metadata["schemas"][0]["fields"];
    assert_eq!(fields[2]["type"]["element"]["fields"][0]["type"], "decimal(38, 9)");
    assert_eq!(fields[2]["type"]["element"]["fields"][1]["type"]["value"], "long");
    assert_eq!(metadata["schemas"][0]["identifier-field-ids"], json!([1]));
    assert_eq!(metadata["partition-specs"][0]["fields"][1]["transform"], "bucket[16]");
    assert_eq!(metadata["sort-orders"][0]["fields"][0]["source-id"], 1);
    let properties = json!({
        "write.parquet.compression-codec": "zstd",
        "write.metadata.previous-versions-max": "7",
        "write.metadata.delete-after-commit.enabled": "true",
    });
    assert_eq!(metadata["properties"], properties);
}

#[tokio::test]
async fn a_definition_that_is_wrong_says_where() {
    let served = serve().await.with_namespace().await;
    let fields = |kind: &str| json!({ "fields": [{ "name": "a", "type": kind, "required": false }] });
    let partition = |source: i32, transform: &str| {
        json!({ "schema": fields("string"), "partitionSpec": {
            "fields": [{ "source-id": source, "transform": transform, "name": "p" }] } })
    };
    for (body, word) in [
        (table("t", json!({ "schema": fields("text") })), "text"),
        (table("t", json!({ "schema": fields("decimal(39,2)") })), "39"),
        (table("t", json!({ "schema": { "fields": [] } })), "at least one"),
        (table("t", json!({})), "schemaV2"),
        (table("t", json!({ "schema": fields("int"), "schemaV2": { "type": "struct", "fields": [] } })), "either"),
        (
            table(
                "t",
                json!({ "schema": { "fields": [{ "name": "a", "type": "int" }, { "name": "a", "type": "int" }] } }),
            ),
            "a",
        ),
        (table("t", partition(9, "identity")), "9"),
        (table("t", partition(1, "month")), "transform"),
        (table("t", json!({ "schema": fields("int"), "properties": { "write.data.path": "s3://x/y" } })), "s3://x/y"),
        (table("t", json!({ "schema": fields("int"), "unknown": 1 })), "unknown"),
        (table("Upper", json!({ "schema": fields("int") })), "Upper"),
        (table("<<table_name>>", json!({ "schema": fields("int") })), "<<table_name>>"),
        (json!({ "name": "t", "format": "DELTA" }), "ICEBERG"),
        (json!({ "name": "t" }), "format"),
    ] {
        let (status, answer) = create(&served, body.clone()).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert_eq!((status, answer["code"].as_str()), (400, Some("BadRequestException")), "{body}");
        assert!(message.contains(word), "{body}: {message}");
    }
    let (_, listed) = served.tables("GET", &format!("/tables/{}", encoded(BUCKET_ARN)), Value::Null).await;
    assert_eq!(listed["tables"], json!([]));
    let buckets = served.folder.path().join("warehouse/buckets");
    assert_eq!(buckets.read_dir().unwrap().count(), 0, "no warehouse is left behind");
}
