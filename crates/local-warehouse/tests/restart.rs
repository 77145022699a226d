use local_warehouse::{Warehouse, WarehouseError};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;

use crate::support::table::{commit, create_orders, load_orders, store};
use crate::support::{NOW_MS, Served, serve, serve_folder};

/// Ends a process and starts the next one. Nothing is flushed on the way: all that is acknowledged is durable already.
async fn restart(served: Served) -> Served {
    let folder = served.folder.clone();
    served.stop().await;
    serve_folder(folder).await
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let served = serve().await.with_namespace().await;
    served.s3("PUT", "/bucket", b"").await;
    served.s3_with("PUT", "/bucket/key", &[("x-amz-meta-a", "1")], b"object").await;
    let begun = served.s3("POST", "/bucket/parts?uploads", b"").await;
    let id = &begun.elements("UploadId")[0];
    served.s3("PUT", &format!("/bucket/parts?partNumber=1&uploadId={id}"), b"part").await;
    create_orders(&served).await;
    let updates = json!([{ "action": "set-properties", "updates": { "a": "b" } }]);
    assert_eq!(commit(&served, json!([]), updates).await.0, 200);
    let table = load_orders(&served).await;

    let served = restart(served).await;
    let got = served.s3("GET", "/bucket/key", b"").await;
    assert_eq!((got.text().as_str(), got.header("x-amz-meta-a")), ("object", "1"));
    assert_eq!(served.s3("GET", "/bucket?uploads", b"").await.elements("UploadId"), std::slice::from_ref(id));
    assert_eq!(served.s3("GET", &format!("/bucket/parts?uploadId={id}"), b"").await.elements("PartNumber"), ["1"]);
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn a_crash_between_the_metadata_file_and_the_pointer_leaves_the_table_as_it_was() {
    let served = serve().await.with_namespace().await;
    let table = create_orders(&served).await;
    // What a commit has written when the process dies before the swap.
    let newer = serde_json::to_vec(&table).unwrap();
    let path = Path::from("metadata/00001-00000000-0000-0000-0000-000000000000.metadata.json");
    store(&served, &table).put(&path, newer.into()).await.unwrap();

    let served = restart(served).await;
    assert_eq!(load_orders(&served).await, table);
    let updates = json!([{ "action": "set-properties", "updates": { "a": "b" } }]);
    assert_eq!(commit(&served, json!([]), updates).await.0, 200);
    assert_eq!(load_orders(&served).await.properties()["a"], "b");
}

#[tokio::test]
async fn what_a_crash_left_halfway_is_swept_at_the_next_start() {
    let served = serve().await.with_namespace().await;
    let table = create_orders(&served).await;
    let warehouse = served.folder.path().join("warehouse");
    // A table whose row was never written, a bucket that was never finished, an object that was never renamed.
    let orphan = warehouse.join("buckets/0--table-s3");
    std::fs::create_dir_all(orphan.join("objects")).unwrap();
    std::fs::write(orphan.join("bucket.json"), r#"{"kind":"table_warehouse","region":"r","created_ms":1}"#).unwrap();
    std::fs::create_dir_all(warehouse.join("buckets/unfinished/objects")).unwrap();
    std::fs::write(warehouse.join("staging/half"), b"half").unwrap();

    let served = restart(served).await;
    assert!(!orphan.exists());
    assert!(!warehouse.join("staging/half").exists());
    assert_eq!(served.s3("HEAD", "/unfinished", b"").await.status, 404);
    assert_eq!(served.s3("PUT", "/unfinished", b"").await.status, 200);
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn a_second_process_on_the_folder_is_refused() {
    let served = serve().await;
    let again = Warehouse::open(&served.folder.path().join("warehouse"), ambient::Ambient::fixed(NOW_MS)).await;
    assert!(matches!(again, Err(WarehouseError::InUse(_))), "{again:?}");
}
