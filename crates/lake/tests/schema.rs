//! Tables are made from Arrow schemas, and grow columns at their end.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use lake::{ColumnAddition, ErrorKind};

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
