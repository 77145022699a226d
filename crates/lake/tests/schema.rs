//! Tables are made from Arrow schemas, and grow columns at their end.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use iceberg::expr::Reference;
use iceberg::spec::{Datum, PrimitiveType};
use lake::{
    ColumnAddition, ErrorKind, LakeTable, RowChanges, ScanCache, SchemaChange, change_schema, changed_schema,
    parse_type, schema_history,
};

use crate::support::memory_catalog::Fault;
use crate::support::world::{World, rows_of, upserts};

fn column(name: &str, data_type: DataType) -> ColumnAddition {
    ColumnAddition { name: name.to_owned(), data_type, doc: Some(format!("{name} as it was")) }
}

fn nested() -> DataType {
    let point = DataType::Struct(vec![Field::new("lat", DataType::Float64, true)].into());
    DataType::List(Arc::new(Field::new("element", point, true)))
}

#[tokio::test(start_paused = true)]
async fn added_columns_are_optional_and_at_the_end_with_ids_of_their_own() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    writer.add_columns(&[column("price", DataType::Decimal128(38, 2)), column("points", nested())]).await.unwrap();

    let schema = writer.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "n", "price", "points"]);
    let price = schema.field_with_name("price").unwrap();
    assert!(price.is_nullable());
    assert_eq!(price.metadata()["PARQUET:field_id"], "3");
    assert_eq!(price.metadata()["doc"], "price as it was");

    // Rows of the old shape are still taken, and the old file is still read.
    writer.commit(upserts(&[("y", 2)]), Some("one"), "two").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 1), ("y", 2)]));
    assert_eq!(world.load().await.metadata().last_column_id(), 6);
}

#[tokio::test(start_paused = true)]
async fn columns_are_added_once_whatever_the_catalog_answers() {
    use Fault::*;
    let scripts: [&[Fault]; 5] = [&[Reject409], &[FailAfterWrite503], &[Hold], &[Hold, Reset], &[NotSent, Unreadable]];
    for faults in scripts {
        let world = World::changelog().await;
        let mut writer = world.writer("a").await;
        world.double.script(faults.iter().copied());
        writer.add_columns(&[column("price", DataType::Int64)]).await.unwrap();
        world.double.release();
        assert_eq!(writer.schema().fields().len(), 3, "{faults:?}");
        let table = world.load().await;
        assert_eq!(table.metadata().current_schema().as_struct().fields().len(), 3, "{faults:?}");
        assert_eq!(table.metadata().last_column_id(), 3, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_column_of_another_type_is_refused_and_of_the_same_type_left_alone() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.add_columns(&[column("points", nested())]).await.unwrap();
    let commits = world.double.commit_bodies().len();
    writer.add_columns(&[column("n", DataType::Int64), column("points", nested())]).await.unwrap();
    assert_eq!(world.double.commit_bodies().len(), commits);
    let error = writer.add_columns(&[column("n", DataType::Utf8)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_exist_is_not_found() {
    let world = World::changelog().await;
    let nowhere = iceberg::TableIdent::from_strs(["shop", "nowhere"]).unwrap();
    assert_eq!(world.catalog.load_table(&nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.catalog.list_namespaces().await.unwrap().len(), 1);
}

fn rename(path: &str, to: &str) -> SchemaChange {
    SchemaChange::Rename { path: path.to_owned(), to: to.to_owned() }
}

fn add(path: &str, field_type: &str) -> SchemaChange {
    SchemaChange::Add { path: path.to_owned(), field_type: parse_type(field_type).unwrap() }
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_changed_once_whatever_the_catalog_answers() {
    use Fault::*;
    let scripts: [&[Fault]; 6] =
        [&[], &[Reject409], &[FailAfterWrite503], &[Hold], &[Hold, Reset], &[NotSent, Unreadable]];
    for faults in scripts {
        let world = World::changelog().await;
        world.double.script(faults.iter().copied());
        // The second one would fail if the first were made again.
        let changes = [rename("n", "amount"), add("n", "string")];
        let table = change_schema(&world.catalog, &world.table, &changes).await.unwrap();
        world.double.release();
        let names = |table: &iceberg::table::Table| {
            let fields = table.metadata().current_schema().as_struct().fields().iter();
            fields.map(|field| (field.id, field.name.clone())).collect::<Vec<_>>()
        };
        assert_eq!(names(&table), [(1, "id".into()), (2, "amount".into()), (3, "n".into())], "{faults:?}");
        assert_eq!(names(&world.load().await), names(&table), "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_pipeline_writes_its_rows_by_stays_as_it_is() {
    let world = World::mirror().await;
    let mut writer = world.writer("a").await;
    let drop = |path: &str| [SchemaChange::Drop { path: path.to_owned() }];
    // Nobody writes the table yet.
    assert!(changed_schema(&world.load().await, &drop("id")).is_ok());
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    for change in [&drop("id")[0], &rename("id", "key")] {
        let error = changed_schema(&world.load().await, std::slice::from_ref(change)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("pipeline orders"), "{error}");
    }
    // Whether it is a key, only the pipeline knows: it did not make the column.
    let optional = SchemaChange::MakeOptional { path: "id".to_owned() };
    assert!(changed_schema(&world.load().await, &[optional]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_history_tells_each_schema_from_the_one_before() {
    let world = World::changelog().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1)]), None, "one").await.unwrap();
    change_schema(&world.catalog, &world.table, &[rename("n", "amount")]).await.unwrap();
    let history = schema_history(world.load().await.metadata());
    let shown: Vec<Vec<String>> = history
        .iter()
        .map(|version| version.differences.iter().map(|difference| difference.to_string()).collect())
        .collect();
    assert_eq!(shown, [vec!["+ id string, required", "+ n long"], vec!["~ n → amount"]]);
    assert!(history[0].first_snapshot_ms.is_some() && history[1].first_snapshot_ms.is_none());
    assert_eq!(history.iter().map(|version| version.is_current).collect::<Vec<_>>(), [false, true]);
}

/// One row with `small` in the type that a writer has it in.
fn small(id: usize, value: ArrayRef) -> RowChanges {
    let fields = vec![Field::new("id", DataType::Utf8, false), Field::new("small", value.data_type().clone(), true)];
    let ids: ArrayRef = Arc::new(StringArray::from(vec![id.to_string()]));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids, value]).unwrap();
    RowChanges { upserts: vec![rows], deletes: Vec::new() }
}

/// The writer goes on, at first with rows of the old type, and merges manifests of before and after.
#[tokio::test(start_paused = true)]
async fn manifests_merged_after_a_widening_still_match_predicates() {
    let world = World::changelog().await;
    change_schema(&world.catalog, &world.table, &[add("small", "int")]).await.unwrap();
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    let (before, after) = (40_usize, 80_usize);
    for id in 0..after {
        if id == before {
            let widen = SchemaChange::Widen { path: "small".to_owned(), to: PrimitiveType::Long };
            change_schema(&world.catalog, &world.table, &[widen]).await.unwrap();
        }
        let value: ArrayRef = match id <= before + 2 {
            true => Arc::new(Int32Array::from(vec![id as i32])),
            false => Arc::new(Int64Array::from(vec![(1 << 40) + id as i64])),
        };
        let (from, to) = (id.checked_sub(1).map(|id| id.to_string()), id.to_string());
        writer.commit(small(id, value), from.as_deref(), to.as_str()).await.unwrap();
    }
    let table = world.load().await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let manifests = table.manifest_list_reader(snapshot).load().await.unwrap();
    assert!(manifests.entries().len() < after / 2, "no manifests were merged");

    let context = SessionContext::new();
    let lake = LakeTable::load(&world.catalog, &world.table, Arc::new(ScanCache::new())).await.unwrap();
    context.register_table("t", Arc::new(lake)).unwrap();
    for (predicate, expected) in [
        ("small < 5", 5),
        ("small >= 40 AND small < 1000", 3),
        ("small > 1000", after - before - 3),
        ("small = 1099511627776 + 75", 1),
        ("small IS NULL", 0),
    ] {
        let frame = context.sql(&format!("SELECT id FROM t WHERE {predicate}")).await.unwrap();
        assert_eq!(frame.count().await.unwrap(), expected, "{predicate}");
    }
}

/// The `iceberg` crate leaves a file out whose bounds have another type than the column has now.
#[tokio::test(start_paused = true)]
async fn readers_built_on_the_iceberg_crate_find_old_rows_after_a_widening() {
    let world = World::changelog().await;
    change_schema(&world.catalog, &world.table, &[add("small", "int")]).await.unwrap();
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    for id in 0..3 {
        let value: ArrayRef = Arc::new(Int32Array::from(vec![id]));
        let from = (id > 0).then(|| (id - 1).to_string());
        writer.commit(small(id as usize, value), from.as_deref(), id.to_string().as_str()).await.unwrap();
    }
    let widen = SchemaChange::Widen { path: "small".to_owned(), to: PrimitiveType::Long };
    change_schema(&world.catalog, &world.table, &[widen]).await.unwrap();

    // The writer goes on where it was, and takes the new schema over. Readers take that of the last snapshot.
    let value: ArrayRef = Arc::new(Int32Array::from(vec![3]));
    writer.commit(small(3, value), Some("2"), "3").await.unwrap();
    let value: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
    writer.commit(small(4, value), Some("3"), "4").await.unwrap();

    let predicate = Reference::new("small").less_than(Datum::long(2));
    let scan = world.load().await.scan().select(["id"]).with_filter(predicate).build().unwrap();
    let batches: Vec<RecordBatch> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}
