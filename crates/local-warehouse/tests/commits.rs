use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};

use crate::support::table::{
    SnapshotPaths, commit, config, create_orders, load_orders, metadata, snapshot_updates, store,
};
use crate::support::{Served, serve};

async fn served() -> Served {
    serve().await.with_namespace().await
}

fn property(name: &str, value: &str) -> Value {
    json!([{ "action": "set-properties", "updates": { name: value } }])
}

#[tokio::test]
async fn a_commit_is_what_is_loaded_next() {
    let served = served().await;
    let table = create_orders(&served).await;
    let updates = snapshot_updates(&served, &table, &SnapshotPaths::inside(&table), 11).await;
    let requirements = json!([
        { "type": "assert-table-uuid", "uuid": table.uuid() },
        { "type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null }
    ]);
    let (status, answer) = commit(&served, requirements, updates).await;
    assert_eq!(status, 200, "{answer}");
    let location = answer["metadata-location"].as_str().unwrap();
    assert!(location.starts_with(&format!("{}/metadata/00001-", table.location())), "{location}");
    let loaded = load_orders(&served).await;
    assert_eq!(loaded.current_snapshot_id(), Some(11));
    assert_eq!(loaded, metadata(&answer));
    assert_eq!(loaded.metadata_log().len(), 1);
    let key = location.strip_prefix(&format!("{}/", table.location())).unwrap();
    let file = store(&served, &table).get(&Path::parse(key).unwrap()).await.unwrap().bytes().await.unwrap();
    let written: iceberg::spec::TableMetadata = serde_json::from_slice(&file).unwrap();
    assert_eq!(written, loaded);
}

#[tokio::test]
async fn each_requirement_that_does_not_hold_is_a_conflict() {
    let served = served().await;
    let table = create_orders(&served).await;
    for requirement in [
        json!({ "type": "assert-create" }),
        json!({ "type": "assert-table-uuid", "uuid": "00000000-0000-0000-0000-000000000001" }),
        json!({ "type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": 5 }),
        json!({ "type": "assert-last-assigned-field-id", "last-assigned-field-id": 99 }),
        json!({ "type": "assert-current-schema-id", "current-schema-id": 99 }),
        json!({ "type": "assert-last-assigned-partition-id", "last-assigned-partition-id": 99 }),
        json!({ "type": "assert-default-spec-id", "default-spec-id": 99 }),
        json!({ "type": "assert-default-sort-order-id", "default-sort-order-id": 99 }),
    ] {
        let (status, answer) = commit(&served, json!([requirement]), property("a", "b")).await;
        assert_eq!((status, &answer["error"]["type"]), (409, &json!("CommitFailedException")), "{requirement}");
        assert_eq!(answer["error"]["code"], 409);
    }
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn of_concurrent_commits_on_one_parent_one_wins() {
    let served = served().await;
    let table = create_orders(&served).await;
    let mut attempts = Vec::new();
    for id in 1..=8 {
        let location = table.location();
        let paths = SnapshotPaths {
            manifest_list: format!("{location}/metadata/list-{id}.avro"),
            manifest: format!("{location}/metadata/manifest-{id}.avro"),
            data_file: format!("{location}/data/{id}.parquet"),
        };
        attempts.push(snapshot_updates(&served, &table, &paths, id).await);
    }
    let requirements = json!([{ "type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null }]);
    let answers = attempts.into_iter().map(|updates| commit(&served, requirements.clone(), updates));
    let answers = futures::future::join_all(answers).await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [200, 409].contains(status)));
    assert_eq!(load_orders(&served).await, metadata(&won[0].1));
    // The losers have taken their metadata files back.
    let prefix = Path::parse("metadata").unwrap();
    let listed = store(&served, &table).list_with_delimiter(Some(&prefix)).await.unwrap();
    let files = listed.objects.iter().filter(|object| object.location.as_ref().ends_with(".metadata.json"));
    assert_eq!(files.count(), 2);
}

#[tokio::test]
async fn no_path_of_a_commit_leaves_the_table() {
    let served = served().await;
    let table = create_orders(&served).await;
    let other = served
        .iceberg(
            "POST",
            "namespaces/sales/tables",
            json!({ "name": "other", "schema": { "type": "struct", "fields": [
            { "id": 1, "name": "id", "type": "string", "required": true }
        ] } }),
        )
        .await;
    let other = metadata(&other.1);
    let location = table.location();
    let outside = [
        "/etc/passwd".to_owned(),
        "file:///etc/passwd".to_owned(),
        "s3://elsewhere/x".to_owned(),
        format!("{}/metadata/x", other.location()),
        format!("{location}x/y"),
        format!("{location}/../x"),
        format!("{location}/metadata/../../x"),
        format!("{location}/metadata/%2e%2e/x"),
        format!("{location}/metadata/..%2Fx"),
        format!("{location}/metadata\\..\\x"),
        format!("{location}/a/./b"),
        location.to_owned(),
        format!("{location}/"),
        location.replace("s3://", "s3a://") + "/x",
        location.replace("s3://", "S3://") + "/x",
        location.replace("s3://", "https://") + "/x",
        format!("{location}@elsewhere/x"),
        format!(" {location}/x"),
        format!("{location}/x\0"),
    ];
    for (id, path) in (20..).zip(&outside) {
        let inside = || SnapshotPaths::inside(&table);
        let statistics = json!({ "snapshot-id": id, "statistics-path": path, "file-size-in-bytes": 1,
            "file-footer-size-in-bytes": 1, "blob-metadata": [] });
        let partition_statistics = json!({ "snapshot-id": id, "statistics-path": path, "file-size-in-bytes": 1 });
        let lists = SnapshotPaths { manifest_list: path.clone(), ..inside() };
        let manifests = SnapshotPaths { manifest: path.clone(), ..inside() };
        let files = SnapshotPaths { data_file: path.clone(), ..inside() };
        for updates in [
            snapshot_updates(&served, &table, &lists, id).await,
            snapshot_updates(&served, &table, &manifests, id).await,
            snapshot_updates(&served, &table, &files, id).await,
            json!([{ "action": "set-statistics", "snapshot-id": id, "statistics": statistics }]),
            json!([{ "action": "set-partition-statistics", "partition-statistics": partition_statistics }]),
            property("write.data.path", path),
            property("write.metadata.path", path),
            property("write.object-storage.path", path),
        ] {
            let (status, answer) = commit(&served, json!([]), updates.clone()).await;
            assert_eq!(status, 400, "{path} {updates} {answer}");
        }
        let is_itself = path.trim_end_matches('/') == location;
        if !is_itself {
            let updates = json!([{ "action": "set-location", "location": path }]);
            assert_eq!(commit(&served, json!([]), updates).await.0, 400, "{path}");
        }
    }
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn a_snapshot_whose_files_are_not_there_is_refused() {
    let served = served().await;
    let table = create_orders(&served).await;
    let updates = snapshot_updates(&served, &table, &SnapshotPaths::inside(&table), 1).await;
    let objects = store(&served, &table);
    objects.delete(&Path::parse("metadata/manifest.avro").unwrap()).await.unwrap();
    let (status, answer) = commit(&served, json!([]), updates.clone()).await;
    assert_eq!(status, 400, "{answer}");
    objects.put(&Path::parse("metadata/manifest.avro").unwrap(), "not Avro".into()).await.unwrap();
    assert_eq!(commit(&served, json!([]), updates).await.0, 400);
}

#[tokio::test]
async fn old_metadata_leaves_the_log_and_the_folder_where_the_table_asks_for_it() {
    let served = served().await;
    let table = create_orders(&served).await;
    let updates = json!([{ "action": "set-properties", "updates": {
        "write.metadata.previous-versions-max": "2", "write.metadata.delete-after-commit.enabled": "true"
    } }]);
    assert_eq!(commit(&served, json!([]), updates).await.0, 200);
    for round in 0..4 {
        assert_eq!(commit(&served, json!([]), property("round", &round.to_string())).await.0, 200);
    }
    assert_eq!(load_orders(&served).await.metadata_log().len(), 2);
    let prefix = Path::parse("metadata").unwrap();
    let listed = store(&served, &table).list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!(listed.objects.len(), 3);
}

#[tokio::test]
async fn metadata_beyond_50_megabytes_is_refused() {
    let served = served().await;
    let table = create_orders(&served).await;
    let (status, answer) = commit(&served, json!([]), property("huge", &"x".repeat(51 << 20))).await;
    assert_eq!(status, 400, "{}", answer["error"]["type"]);
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn what_s3_tables_does_not_serve_is_refused_by_name() {
    let served = served().await;
    create_orders(&served).await;
    let schema = json!({ "type": "struct", "fields": [{ "id": 1, "name": "id", "type": "string", "required": true }] });
    for (method, target, body, status, word) in [
        (
            "POST",
            "namespaces/sales/tables",
            json!({ "name": "t", "schema": schema, "stage-create": true }),
            400,
            "stage",
        ),
        (
            "POST",
            "namespaces/sales/tables",
            json!({ "name": "t", "schema": schema, "location": "s3://x" }),
            400,
            "s3://x",
        ),
        ("DELETE", "namespaces/sales/tables/orders", Value::Null, 400, "purgeRequested"),
        ("GET", "namespaces/sales/views", Value::Null, 406, "views"),
        ("POST", "namespaces/sales/register", json!({}), 406, "registration"),
        ("POST", "transactions/commit", json!({}), 406, "several tables"),
        ("POST", "namespaces/sales/properties", json!({}), 406, "properties"),
        ("POST", "namespaces", json!({ "namespace": ["a", "b"] }), 400, "one level"),
        ("POST", "namespaces", json!({ "namespace": ["a"], "properties": { "location": "s3://x" } }), 400, "location"),
        ("PATCH", "namespaces", Value::Null, 404, "PATCH"),
    ] {
        let (found, answer) = served.iceberg(method, target, body).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(found, status, "{method} {target} {answer}");
        assert!(message.contains(word), "{method} {target} {answer}");
        assert_eq!(answer["error"]["code"], status);
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_there_already_is_said_as_clients_expect() {
    let served = served().await;
    create_orders(&served).await;
    let schema = json!({ "type": "struct", "fields": [{ "id": 1, "name": "id", "type": "string", "required": true }] });
    let create = |name: &str| json!({ "name": name, "schema": schema });
    for (method, target, body, status, kind) in [
        ("GET", "namespaces/none", Value::Null, 404, "NoSuchNamespaceException"),
        ("GET", "namespaces/none/tables", Value::Null, 404, "NoSuchNamespaceException"),
        ("POST", "namespaces/none/tables", create("t"), 404, "NoSuchNamespaceException"),
        ("GET", "namespaces/sales/tables/none", Value::Null, 404, "NoSuchTableException"),
        ("GET", "namespaces/a%1Fb/tables/none", Value::Null, 404, "NoSuchNamespaceException"),
        ("POST", "namespaces", json!({ "namespace": ["sales"] }), 409, "AlreadyExistsException"),
        ("POST", "namespaces/sales/tables", create("orders"), 409, "AlreadyExistsException"),
        ("POST", "namespaces/sales/tables", create("Upper"), 400, "BadRequestException"),
        ("DELETE", "namespaces/sales", Value::Null, 409, "NamespaceNotEmptyException"),
        ("POST", "namespaces/sales/tables/orders", json!({ "updates": 5 }), 400, "BadRequestException"),
    ] {
        let (found, answer) = served.iceberg(method, target, body).await;
        assert_eq!((found, answer["error"]["type"].as_str()), (status, Some(kind)), "{method} {target}");
    }
    assert_eq!(served.iceberg("HEAD", "namespaces/sales/tables/orders", Value::Null).await.0, 204);
    assert_eq!(served.iceberg("HEAD", "namespaces/sales/tables/none", Value::Null).await.0, 404);
    assert_eq!(served.iceberg("HEAD", "namespaces/sales", Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_table_is_renamed_and_dropped_with_its_files() {
    let served = served().await;
    let table = create_orders(&served).await;
    let body = json!({ "source": { "namespace": ["sales"], "name": "orders" },
        "destination": { "namespace": ["sales"], "name": "purchases" } });
    assert_eq!(served.iceberg("POST", "tables/rename", body).await.0, 204);
    let (status, answer) = served.iceberg("GET", "namespaces/sales/tables/purchases", Value::Null).await;
    assert_eq!((status, metadata(&answer)), (200, table.clone()));
    let (_, listed) = served.iceberg("GET", "namespaces/sales/tables", Value::Null).await;
    assert_eq!(listed["identifiers"], json!([{ "namespace": ["sales"], "name": "purchases" }]));
    let dropped = served.iceberg("DELETE", "namespaces/sales/tables/purchases?purgeRequested=true", Value::Null).await;
    assert_eq!(dropped.0, 204);
    let bucket = table.location().strip_prefix("s3://").unwrap();
    assert!(served.warehouse.object_store(bucket).is_none());
    assert_eq!(served.iceberg("DELETE", "namespaces/sales", Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_loaded_table_says_how_to_reach_its_files() {
    let served = served().await;
    create_orders(&served).await;
    let (_, answer) = served.iceberg("GET", "namespaces/sales/tables/orders", Value::Null).await;
    let config = config(&answer);
    assert_eq!(config["s3.endpoint"], "http://s3.test");
    assert_eq!(config["s3.path-style-access"], "true");
    assert_eq!(config["client.region"], "eu-west-1");
    // Credentials go to those only who ask for them.
    assert_eq!(config.get("s3.access-key-id"), None);
    let (_, answer) = served.iceberg("GET", "namespaces/sales/tables/orders?snapshots=refs", Value::Null).await;
    assert_eq!(metadata(&answer), load_orders(&served).await);
}
