use local_warehouse::{CompactionStrategy, MaintainedTable, MaintenanceJob, MaintenanceOutcome};
use serde_json::{Value, json};

use crate::support::table::create_orders;
use crate::support::{BUCKET_ARN, NOW_MS, Served, encoded, serve, serve_folder};

fn at(target: &str) -> String {
    target.replace("{ARN}", &encoded(BUCKET_ARN))
}

async fn put(served: &Served, target: &str, value: Value) {
    let (status, answer) = served.tables("PUT", &at(target), json!({ "value": value })).await;
    assert_eq!(status, 204, "{answer}");
}

async fn only_table(served: &Served) -> MaintainedTable {
    let tables = served.warehouse.maintenance().tables().await.unwrap();
    let [table] = tables.as_slice() else { panic!("not one table: {tables:?}") };
    table.clone()
}

async fn fail_compaction(served: &Served, table: &MaintainedTable) {
    let failed = MaintenanceOutcome::Failed { message: "there is no sort order".into() };
    let maintenance = served.warehouse.maintenance();
    maintenance.record(table, MaintenanceJob::Compaction, failed, NOW_MS as i64).await.unwrap();
}

async fn job_status(served: &Served, table: &str) -> Value {
    let target = at(&format!("/tables/{{ARN}}/sales/{table}/maintenance-job-status"));
    let (status, answer) = served.tables("GET", &target, Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    answer["status"].clone()
}

#[tokio::test]
async fn a_table_is_maintained_with_the_defaults_from_its_creation() {
    let served = serve().await.with_namespace().await;
    create_orders(&served).await;
    // There is nothing to maintain in a table without a schema.
    served.tables("PUT", &at("/tables/{ARN}/sales"), json!({ "name": "bare", "format": "ICEBERG" })).await;
    let table = only_table(&served).await;
    assert_eq!(
        (table.table_bucket_arn.as_str(), table.namespace.as_str(), table.name.as_str()),
        (BUCKET_ARN, "sales", "orders")
    );
    let (compaction, snapshots, files) = (table.compaction, table.snapshot_management, table.unreferenced_file_removal);
    assert!(compaction.is_enabled && snapshots.is_enabled && files.is_enabled);
    assert_eq!((compaction.target_file_size_mb, compaction.strategy), (512, CompactionStrategy::Auto));
    assert_eq!((snapshots.min_snapshots_to_keep, snapshots.max_snapshot_age_hours), (1, 120));
    assert_eq!((files.unreferenced_days, files.non_current_days), (3, 10));
    for job in MaintenanceJob::ALL {
        assert_eq!(job_status(&served, "orders").await[job.name()], json!({ "status": "Not_Yet_Run" }));
    }
}

#[tokio::test]
async fn what_is_put_is_what_the_handle_gives_and_survives_a_restart_and_a_rename() {
    let served = serve().await.with_namespace().await;
    create_orders(&served).await;
    let settings = json!({ "icebergCompaction": { "targetFileSizeMB": 64, "strategy": "z-order" } });
    let compaction = json!({ "status": "enabled", "settings": settings });
    put(&served, "/tables/{ARN}/sales/orders/maintenance/icebergCompaction", compaction).await;
    let disabled = json!({ "status": "disabled" });
    put(&served, "/tables/{ARN}/sales/orders/maintenance/icebergSnapshotManagement", disabled).await;
    let settings = json!({ "icebergUnreferencedFileRemoval": { "unreferencedDays": 1, "nonCurrentDays": 2 } });
    let removal = json!({ "status": "enabled", "settings": settings });
    put(&served, "/buckets/{ARN}/maintenance/icebergUnreferencedFileRemoval", removal).await;
    let before = only_table(&served).await;
    assert_eq!((before.compaction.target_file_size_mb, before.compaction.strategy), (64, CompactionStrategy::ZOrder));
    assert!(!before.snapshot_management.is_enabled);
    assert_eq!(before.unreferenced_file_removal.non_current_days, 2);
    fail_compaction(&served, &before).await;

    let rename = json!({ "newName": "purchases" });
    assert_eq!(served.tables("PUT", &at("/tables/{ARN}/sales/orders/rename"), rename).await.0, 204);
    let folder = served.folder.clone();
    served.stop().await;
    let served = serve_folder(folder).await;
    assert_eq!(only_table(&served).await, MaintainedTable { name: "purchases".into(), ..before });
    let failed = json!({
        "status": "Failed",
        "failureMessage": "there is no sort order",
        "lastRunTimestamp": "2026-01-31T12:00:00Z"
    });
    assert_eq!(job_status(&served, "purchases").await["icebergCompaction"], failed);
}

#[tokio::test]
async fn the_status_is_what_became_of_the_last_run() {
    let served = serve().await.with_namespace().await;
    create_orders(&served).await;
    let table = only_table(&served).await;
    fail_compaction(&served, &table).await;
    let maintenance = served.warehouse.maintenance();
    let later = NOW_MS as i64 + 1500;
    maintenance.record(&table, MaintenanceJob::Compaction, MaintenanceOutcome::Successful, later).await.unwrap();
    let status = job_status(&served, "orders").await;
    let successful = json!({ "status": "Successful", "lastRunTimestamp": "2026-01-31T12:00:01.5Z" });
    assert_eq!(status["icebergCompaction"], successful);
    assert_eq!(status["icebergSnapshotManagement"], json!({ "status": "Not_Yet_Run" }));

    let disabled = json!({ "status": "disabled" });
    put(&served, "/tables/{ARN}/sales/orders/maintenance/icebergCompaction", disabled.clone()).await;
    put(&served, "/buckets/{ARN}/maintenance/icebergUnreferencedFileRemoval", disabled).await;
    let status = job_status(&served, "orders").await;
    assert_eq!(status["icebergCompaction"]["status"], "Disabled");
    assert_eq!(status["icebergUnreferencedFileRemoval"]["status"], "Disabled");
}

#[tokio::test]
async fn a_table_that_is_made_again_starts_anew() {
    let served = serve().await.with_namespace().await;
    create_orders(&served).await;
    let gone = only_table(&served).await;
    let disabled = json!({ "status": "disabled" });
    put(&served, "/tables/{ARN}/sales/orders/maintenance/icebergCompaction", disabled).await;
    fail_compaction(&served, &gone).await;
    assert_eq!(served.tables("DELETE", &at("/tables/{ARN}/sales/orders"), Value::Null).await.0, 204);
    create_orders(&served).await;
    // A run that began on the old table reports late.
    fail_compaction(&served, &gone).await;
    let table = only_table(&served).await;
    assert!(table.id != gone.id && table.compaction.is_enabled);
    assert_eq!(job_status(&served, "orders").await["icebergCompaction"], json!({ "status": "Not_Yet_Run" }));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_range() {
    let served = serve().await.with_namespace().await;
    create_orders(&served).await;
    let compaction = |settings: Value| json!({ "settings": { "icebergCompaction": settings } });
    let snapshots = |settings: Value| json!({ "settings": { "icebergSnapshotManagement": settings } });
    let table = "/tables/{ARN}/sales/orders/maintenance/";
    for (kind, value, part) in [
        ("icebergCompaction", compaction(json!({ "targetFileSizeMB": 63 })), "from 64 to 512, not 63"),
        ("icebergCompaction", compaction(json!({ "targetFileSizeMB": 513 })), "from 64 to 512, not 513"),
        ("icebergCompaction", compaction(json!({ "targetFileSizeMB": 4_294_967_360_i64 })), "from 64 to 512"),
        ("icebergCompaction", compaction(json!({ "strategy": "zorder" })), "auto, binpack, sort, z-order, not zorder"),
        ("icebergCompaction", compaction(json!({ "targetSize": 64 })), "targetSize"),
        ("icebergCompaction", snapshots(json!({})), "must be in icebergCompaction, not in icebergSnapshotManagement"),
        ("icebergCompaction", json!({ "status": "on" }), "enabled or disabled, not on"),
        ("icebergSnapshotManagement", snapshots(json!({ "minSnapshotsToKeep": 0 })), "from 1 to 2147483647, not 0"),
        ("icebergSnapshotManagement", snapshots(json!({ "maxSnapshotAgeHours": -1 })), "from 1 to 2147483647, not -1"),
        ("icebergUnreferencedFileRemoval", json!({}), "icebergCompaction or icebergSnapshotManagement, not"),
    ] {
        let (status, answer) = served.tables("PUT", &at(&format!("{table}{kind}")), json!({ "value": value })).await;
        assert_eq!((status, answer["code"].as_str()), (400, Some("BadRequestException")), "{value}");
        assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
    }
    let (status, _) = served.tables("PUT", &at(&format!("{table}icebergCompaction")), json!({})).await;
    assert_eq!(status, 400);
    let missing = at("/tables/{ARN}/sales/none/maintenance");
    assert_eq!(served.tables("GET", &missing, Value::Null).await.0, 404);
    assert_eq!(served.tables("PUT", &format!("{missing}/icebergCompaction"), json!({ "value": {} })).await.0, 404);
    assert_eq!(served.tables("GET", &at("/buckets/{ARN}x/maintenance"), Value::Null).await.0, 404);
}
