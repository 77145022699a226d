//! Row groups that a compaction copies are read as if they had been encoded again.

use std::collections::HashMap;

use iceberg::TableUpdate;
use iceberg::spec::{Datum, ManifestContentType};
use lake::maintain::compact::{self, CompactionPolicy, Progress, TableFiles};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::compaction::{files_of, rows_at, unsorted_rows};
use crate::support::world::{World, changes};

/// Files of 2,100 rows have some 17 KB.
const POLICY: CompactionPolicy = CompactionPolicy { target_file_bytes: 400_000, strategy: compact::Strategy::BinPack };

async fn compact_all(world: &World, policy: &CompactionPolicy) {
    let files = TableFiles::load(&world.catalog, &world.table).await.unwrap();
    for task in compact::plan(&files, policy).unwrap().tasks {
        compact::run(&world.catalog, &files, &task, &Progress::default()).await.unwrap();
    }
}

/// The only data file: what its manifest says of it, and its footer.
async fn only_file(world: &World) -> (iceberg::spec::ManifestEntryRef, ParquetMetaData) {
    let table = world.load().await;
    let list = table.manifest_list_reader(table.metadata().current_snapshot().unwrap()).load().await.unwrap();
    let mut live = Vec::new();
    for manifest in list.entries().iter().filter(|manifest| manifest.content == ManifestContentType::Data) {
        let manifest = manifest.load_manifest(table.file_io()).await.unwrap();
        live.extend(manifest.entries().iter().filter(|entry| entry.is_alive()).cloned());
    }
    let [entry] = live.try_into().expect("the table has one data file");
    let bytes = table.file_io().new_input(entry.file_path()).unwrap().read().await.unwrap();
    let reader = ParquetMetaDataReader::new().with_page_index_policy(true.into());
    (entry, reader.parse_and_finish(&bytes).unwrap())
}

fn row_group_rows(footer: &ParquetMetaData) -> Vec<i64> {
    footer.row_groups().iter().map(|group| group.num_rows()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_row_group_without_deleted_rows_is_copied_and_the_others_are_written_anew() {
    let (world, mut writer) = files_of(4, 2_100).await;
    let deleted = ["001-000", "001-007", "002-2099"];
    writer.commit(changes(&[], &deleted), Some("4"), "5").await.unwrap();
    let before = unsorted_rows(&world).await;

    compact_all(&world, &POLICY).await;
    assert_eq!(unsorted_rows(&world).await, before, "every row, in its place");
    let (entry, footer) = only_file(&world).await;
    assert_eq!(row_group_rows(&footer), [2_100, 4_197, 2_100]);
    assert_eq!(entry.record_count(), 8_397);
    let data_file = entry.data_file();
    assert_eq!(data_file.null_value_counts()[&1], 0);
    assert_eq!(data_file.value_counts()[&1], 8_397);
    assert_eq!(data_file.lower_bounds()[&1], Datum::string("000-000"));
    assert_eq!(data_file.upper_bounds()[&1], Datum::string("003-999"));
    assert_eq!(data_file.split_offsets().unwrap().len(), 3);
    assert!(footer.offset_index().is_some() && footer.column_index().is_some(), "pages can be pruned");

    // The index knows the rows where they are now.
    writer.commit(changes(&[("000-001", 5)], &["003-001"]), Some("5"), "6").await.unwrap();
    let rows = rows_at(&world, None).await;
    assert_eq!(rows.len(), 8_396);
    assert_eq!(rows[1], ("000-001".to_owned(), 5));
    assert_eq!(world.rows().await, rows);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_copies_is_still_the_same_rows() {
    let (world, _writer) = files_of(12, 2_100).await;
    let before = rows_at(&world, None).await;
    let small = CompactionPolicy { target_file_bytes: 60_000, ..POLICY };
    compact_all(&world, &small).await;
    compact_all(&world, &POLICY).await;
    let (_, footer) = only_file(&world).await;
    assert_eq!(row_group_rows(&footer), [2_100; 12]);
    assert_eq!(rows_at(&world, None).await, before);
    assert_eq!(world.rows().await, before);
}

#[tokio::test(start_paused = true)]
async fn small_row_groups_and_those_of_another_layout_are_merged() {
    let (world, _writer) = files_of(4, 2_100).await;
    let before = rows_at(&world, None).await;
    // Too many of them would fit into one file.
    compact_all(&world, &CompactionPolicy { target_file_bytes: 64 << 20, ..POLICY }).await;
    assert_eq!(row_group_rows(&only_file(&world).await.1), [8_400]);
    assert_eq!(rows_at(&world, None).await, before);

    let (world, _writer) = files_of(4, 2_100).await;
    let updates = HashMap::from([("write.parquet.compression-codec".to_owned(), "snappy".to_owned())]);
    world.double.meddle(&world.table, |_| vec![TableUpdate::SetProperties { updates }]);
    compact_all(&world, &POLICY).await;
    assert_eq!(row_group_rows(&only_file(&world).await.1), [8_400], "the table wants another codec");
    assert_eq!(rows_at(&world, None).await, before);
}
