use iceberg::spec::TableMetadata;
use serde_json::{Value, json};

use crate::support::table::{SnapshotPaths, commit, create_orders, load_orders, snapshot_updates};
use crate::support::{Served, serve};

async fn orders_with_data() -> (Served, TableMetadata) {
    let served = serve().await.with_namespace().await;
    let table = create_orders(&served).await;
    let updates = snapshot_updates(&served, &table, &SnapshotPaths::inside(&table), 1).await;
    assert_eq!(commit(&served, json!([]), updates).await.0, 200);
    let table = load_orders(&served).await;
    (served, table)
}

/// Commits the current schema after `change` to its fields.
async fn evolve(served: &Served, table: &TableMetadata, change: impl FnOnce(&mut Vec<Value>)) -> (u16, Value) {
    let mut schema = serde_json::to_value(table.current_schema().as_ref()).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    schema["schema-id"] = json!(99);
    let updates = json!([
        { "action": "add-schema", "schema": schema, "last-column-id": 99 },
        { "action": "set-current-schema", "schema-id": -1 }
    ]);
    commit(served, json!([]), updates).await
}

fn field(id: i32, name: &str, kind: &str, required: bool) -> Value {
    json!({ "id": id, "name": name, "type": kind, "required": required })
}

#[tokio::test]
async fn changes_that_old_data_survives_are_taken() {
    let (served, table) = orders_with_data().await;
    let (status, answer) = evolve(&served, &table, |fields| {
        fields[0]["required"] = json!(false);
        fields[0]["name"] = json!("order_id");
        fields[1]["type"] = json!("decimal(18,2)");
        fields[2]["type"] = json!("long");
        fields[3]["type"]["fields"].as_array_mut().unwrap().push(field(6, "street", "string", false));
        fields.push(field(7, "note", "string", false));
    })
    .await;
    assert_eq!(status, 200, "{answer}");
    let table = load_orders(&served).await;
    assert_eq!(table.last_column_id(), 7);
    assert_eq!(table.current_schema().field_by_id(1).unwrap().name, "order_id");
    let (status, _) = evolve(&served, &table, |fields| {
        fields.pop();
    })
    .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn changes_that_old_data_does_not_survive_are_refused() {
    let (served, table) = orders_with_data().await;
    type Change = Box<dyn FnOnce(&mut Vec<Value>)>;
    let changes: Vec<(&str, Change)> = vec![
        ("string to long", Box::new(|fields| fields[0]["type"] = json!("long"))),
        ("int to string", Box::new(|fields| fields[2]["type"] = json!("string"))),
        ("int to double", Box::new(|fields| fields[2]["type"] = json!("double"))),
        ("narrower decimal", Box::new(|fields| fields[1]["type"] = json!("decimal(10,2)"))),
        ("other scale", Box::new(|fields| fields[1]["type"] = json!("decimal(12,3)"))),
        ("struct to string", Box::new(|fields| fields[3]["type"] = json!("string"))),
        ("nested string to int", Box::new(|fields| fields[3]["type"]["fields"][0]["type"] = json!("int"))),
        ("optional to required", Box::new(|fields| fields[1]["required"] = json!(true))),
        ("new and required", Box::new(|fields| fields.push(field(7, "note", "string", true)))),
        ("an id used before", Box::new(|fields| fields.push(field(5, "note", "int", false)))),
        ("the same id twice", Box::new(|fields| fields.push(field(1, "note", "string", false)))),
    ];
    for (name, change) in changes {
        let (status, answer) = evolve(&served, &table, change).await;
        assert_eq!(status, 400, "{name}: {answer}");
    }
    assert_eq!(load_orders(&served).await, table);
}

#[tokio::test]
async fn a_column_that_partitions_the_table_cannot_be_dropped() {
    let (served, _) = orders_with_data().await;
    let spec = json!({ "spec-id": 1, "fields": [{ "source-id": 3, "transform": "identity", "name": "count_part" }] });
    let updates = json!([
        { "action": "add-spec", "spec": spec },
        { "action": "set-default-spec", "spec-id": -1 }
    ]);
    let (status, answer) = commit(&served, json!([]), updates).await;
    assert_eq!(status, 200, "{answer}");
    let table = load_orders(&served).await;
    let (status, answer) = evolve(&served, &table, |fields| {
        fields.remove(2);
    })
    .await;
    assert_eq!(status, 400, "{answer}");
}
