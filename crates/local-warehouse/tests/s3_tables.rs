use serde_json::{Value, json};

use crate::support::table::{create_orders, store};
use crate::support::{BUCKET_ARN, Served, encoded, serve};

async fn served() -> Served {
    serve().await.with_namespace().await
}

fn at(target: &str) -> String {
    target.replace("{ARN}", &encoded(BUCKET_ARN))
}

async fn location(served: &Served) -> Value {
    served.tables("GET", &at("/tables/{ARN}/sales/orders/metadata-location"), Value::Null).await.1
}

#[tokio::test]
async fn buckets_namespaces_and_tables_live_and_die_in_order() {
    let served = served().await;
    let create = json!({ "name": "orders", "format": "ICEBERG" });
    let (status, created) = served.tables("PUT", &at("/tables/{ARN}/sales"), create).await;
    assert_eq!(status, 200);
    let arn = created["tableARN"].as_str().unwrap();
    assert!(arn.starts_with(&format!("{BUCKET_ARN}/table/")) && !arn.contains("orders"));

    let by_name =
        served.tables("GET", &at("/get-table?tableBucketARN={ARN}&namespace=sales&name=orders"), Value::Null).await;
    let by_arn = served.tables("GET", &format!("/get-table?tableArn={}", encoded(arn)), Value::Null).await;
    assert_eq!(by_name, by_arn);
    let table = by_name.1;
    assert_eq!(table["versionToken"], created["versionToken"]);
    assert_eq!(
        (table["metadataLocation"].is_null(), table["createdAt"].as_str()),
        (true, Some("2026-01-31T12:00:00Z"))
    );
    let warehouse = table["warehouseLocation"].as_str().unwrap();
    assert!(warehouse.starts_with("s3://") && warehouse.ends_with("--table-s3"));
    assert_eq!(served.tables("GET", &at("/get-table?tableArn=x&name=orders"), Value::Null).await.0, 400);

    let refused = [
        served.tables("DELETE", &at("/buckets/{ARN}"), Value::Null).await,
        served.tables("DELETE", &at("/namespaces/{ARN}/sales"), Value::Null).await,
        served.tables("DELETE", &at("/tables/{ARN}/sales/orders?versionToken=stale"), Value::Null).await,
    ];
    assert!(
        refused.iter().all(|(status, answer)| *status == 409 && answer["code"] == "ConflictException"),
        "{refused:?}"
    );
    let token = created["versionToken"].as_str().unwrap();
    for target in
        [&format!("/tables/{{ARN}}/sales/orders?versionToken={token}"), "/namespaces/{ARN}/sales", "/buckets/{ARN}"]
    {
        assert_eq!(served.tables("DELETE", &at(target), Value::Null).await.0, 204, "{target}");
        let (status, answer) = served.tables("DELETE", &at(target), Value::Null).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("NotFoundException")), "{target}");
    }
}

#[tokio::test]
async fn what_exists_already_is_a_conflict() {
    let served = served().await;
    create_orders(&served).await;
    for (target, body) in [
        ("/buckets", json!({ "name": "lake-bucket" })),
        ("/namespaces/{ARN}", json!({ "namespace": ["sales"] })),
        ("/tables/{ARN}/sales", json!({ "name": "orders", "format": "ICEBERG" })),
    ] {
        let (status, answer) = served.tables("PUT", &at(target), body).await;
        assert_eq!((status, answer["code"].as_str()), (409, Some("ConflictException")), "{target}");
    }
}

#[tokio::test]
async fn listings_are_paged_and_narrowed_by_prefix() {
    let served = served().await;
    for name in ["n1", "n2", "m1"] {
        served.tables("PUT", &at("/namespaces/{ARN}"), json!({ "namespace": [name] })).await;
        let table = json!({ "name": format!("t_{name}"), "format": "ICEBERG" });
        assert_eq!(served.tables("PUT", &at(&format!("/tables/{{ARN}}/{name}")), table).await.0, 200);
    }
    for (target, member, limit, count) in [
        ("/namespaces/{ARN}?x=y", "namespaces", "maxNamespaces", 4),
        ("/namespaces/{ARN}?prefix=n", "namespaces", "maxNamespaces", 2),
        ("/tables/{ARN}?x=y", "tables", "maxTables", 3),
        ("/tables/{ARN}?prefix=t_n", "tables", "maxTables", 2),
        ("/tables/{ARN}?namespace=n1", "tables", "maxTables", 1),
        ("/buckets?prefix=lake", "tableBuckets", "maxBuckets", 1),
        ("/buckets?prefix=none", "tableBuckets", "maxBuckets", 0),
        ("/buckets?type=aws", "tableBuckets", "maxBuckets", 0),
    ] {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let (status, page) = served.tables("GET", &at(&format!("{target}&{limit}=1{token}")), Value::Null).await;
            assert_eq!(status, 200, "{target} {page}");
            found.extend(page[member].as_array().unwrap().clone());
            let Some(next) = page["continuationToken"].as_str() else { break };
            token = format!("&continuationToken={next}");
        }
        assert_eq!(found.len(), count, "{target}");
        for wrong in ["0", "1001", "x"] {
            assert_eq!(served.tables("GET", &at(&format!("{target}&{limit}={wrong}")), Value::Null).await.0, 400);
        }
    }
    assert_eq!(served.tables("GET", &at("/tables/{ARN}?continuationToken=%21"), Value::Null).await.0, 400);
}

#[tokio::test]
async fn a_table_is_renamed_within_its_bucket() {
    let served = served().await;
    create_orders(&served).await;
    served.tables("PUT", &at("/namespaces/{ARN}"), json!({ "namespace": ["archive"] })).await;
    let rename = async |body: Value| served.tables("PUT", &at("/tables/{ARN}/sales/orders/rename"), body).await.0;
    let old = location(&served).await["versionToken"].clone();
    assert_eq!(rename(json!({})).await, 400);
    assert_eq!(rename(json!({ "newName": "x", "versionToken": "stale" })).await, 409);
    assert_eq!(rename(json!({ "newNamespaceName": "none" })).await, 404);
    assert_eq!(rename(json!({ "newName": "Bad" })).await, 400);
    assert_eq!(rename(json!({ "newName": "old", "newNamespaceName": "archive", "versionToken": old })).await, 204);
    let moved =
        served.tables("GET", &at("/get-table?tableBucketARN={ARN}&namespace=archive&name=old"), Value::Null).await;
    assert_eq!(moved.0, 200);
    assert_ne!(moved.1["versionToken"], old);
}

#[tokio::test]
async fn the_metadata_location_moves_only_from_the_version_that_was_read() {
    let served = served().await;
    let table = create_orders(&served).await;
    let before = location(&served).await;
    let warehouse = before["warehouseLocation"].as_str().unwrap();
    let current = before["metadataLocation"].as_str().unwrap();
    let newer = format!("{warehouse}/metadata/00001-mine.metadata.json");
    let key = object_store::path::Path::from("metadata/00001-mine.metadata.json");
    object_store::ObjectStoreExt::put(&*store(&served, &table), &key, serde_json::to_vec(&table).unwrap().into())
        .await
        .unwrap();
    let update = async |token: &Value, location: &str| {
        let body = json!({ "versionToken": token, "metadataLocation": location });
        served.tables("PUT", &at("/tables/{ARN}/sales/orders/metadata-location"), body).await
    };
    let token = &before["versionToken"];
    assert_eq!(update(&json!("stale"), &newer).await.0, 409);
    for wrong in [
        format!("{warehouse}/metadata/none.metadata.json"),
        format!("{warehouse}/metadata/v1.json"),
        format!("{warehouse}/../x.metadata.json"),
        "s3://elsewhere/metadata/00001.metadata.json".to_owned(),
        "/etc/x.metadata.json".to_owned(),
    ] {
        let (status, answer) = update(token, &wrong).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("BadRequestException")), "{wrong}");
    }
    let (status, answer) = update(token, &newer).await;
    assert_eq!((status, answer["metadataLocation"].as_str()), (200, Some(newer.as_str())));
    assert_ne!(answer["versionToken"], before["versionToken"]);
    assert_eq!(update(token, current).await.0, 409);
    assert_eq!(location(&served).await["versionToken"], answer["versionToken"]);
}

#[tokio::test]
async fn arns_are_told_what_they_must_be() {
    let served = served().await;
    for (arn, word) in [
        ("arn:aws:s3:us-east-1:123456789012:bucket/my-iceberg-data", "must be arn:aws:s3tables:"),
        ("<<your table bucket ARN>>", "<<your table bucket ARN>>"),
        ("lake-bucket", "must be arn:aws:s3tables:"),
        ("arn:aws:s3tables:eu-west-1:000000000000:bucket/../x", "bucket/NAME"),
        ("arn:aws:s3tables:eu-west-1:1:bucket/lake-bucket", "twelve digits"),
    ] {
        let (status, answer) = served.tables("GET", &format!("/buckets/{}", encoded(arn)), Value::Null).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("BadRequestException")), "{arn}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{answer}");
    }
    for elsewhere in [BUCKET_ARN.replace("eu-west-1", "us-east-1"), BUCKET_ARN.replace("0000", "1111")] {
        assert_eq!(served.tables("GET", &format!("/buckets/{}", encoded(&elsewhere)), Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn tags_are_kept_on_buckets_and_tables() {
    let served = served().await;
    create_orders(&served).await;
    let (_, listed) = served.tables("GET", &at("/tables/{ARN}"), Value::Null).await;
    let table = listed["tables"][0]["tableARN"].as_str().unwrap().to_owned();
    for arn in [BUCKET_ARN, &table] {
        let target = format!("/tag/{}", encoded(arn));
        let (status, _) = served.tables("POST", &target, json!({ "tags": { "a": "1", "b": "2" } })).await;
        assert_eq!(status, 200);
        assert_eq!(served.tables("DELETE", &format!("{target}?tagKeys=a&tagKeys=x"), Value::Null).await.0, 204);
        assert_eq!(served.tables("GET", &target, Value::Null).await.1["tags"], json!({ "b": "2" }));
        assert_eq!(served.tables("POST", &target, json!({ "tags": { "aws:x": "1" } })).await.0, 400);
    }
}

#[tokio::test]
async fn operations_of_later_are_refused_by_name() {
    let served = served().await;
    create_orders(&served).await;
    for (method, target, name) in [
        ("GET", "/buckets/{ARN}/policy", "GetTableBucketPolicy"),
        ("PUT", "/buckets/{ARN}/encryption", "PutTableBucketEncryption"),
        ("DELETE", "/tables/{ARN}/sales/orders/policy", "DeleteTablePolicy"),
        ("GET", "/table-record-expiration?tableArn=x", "GetTableRecordExpirationConfiguration"),
        ("POST", "/start-table-migration", "StartTableMigration"),
        ("PATCH", "/buckets", "PATCH"),
    ] {
        let (status, answer) = served.tables(method, &at(target), json!({})).await;
        assert_eq!((status, answer["code"].as_str()), (405, Some("MethodNotAllowedException")), "{target}");
        assert!(answer["message"].as_str().unwrap().contains(name), "{answer}");
    }
    let kms = json!({ "name": "other-bucket", "encryptionConfiguration": { "sseAlgorithm": "aws:kms" } });
    assert_eq!(served.tables("PUT", "/buckets", kms).await.0, 400);
}
