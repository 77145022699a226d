//! Tables on the local disk.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::support::world::{World, changes, rows_of, upserts};

#[tokio::test(start_paused = true)]
async fn a_table_on_the_local_disk_is_written_and_read() {
    let world = World::on_disk().await;
    let mut writer = world.writer("a").await;
    writer.take_over().await.unwrap();
    writer.commit(upserts(&[("x", 1), ("y", 1)]), None, "one").await.unwrap();
    writer.commit(changes(&[("x", 2)], &["y"]), Some("one"), "two").await.unwrap();
    assert_eq!(world.rows().await, rows_of(&[("x", 2)]));
}

#[tokio::test]
async fn a_small_and_a_large_file_come_back_as_written() {
    let folder = tempfile::TempDir::new().unwrap();
    let world = World::changelog().await;
    let location = format!("file://{}/deep/er", folder.path().display());
    let store = world.catalog.store_for(&location).unwrap();
    let small = Path::parse(format!("{}/deep/er/small", folder.path().display())).unwrap();
    store.put(&small, "small".into()).await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("deep/er/small")).unwrap(), b"small");

    let large = Path::parse(format!("{}/deep/er/large%20file", folder.path().display())).unwrap();
    let mut upload = store.put_multipart(&large).await.unwrap();
    let part = vec![7_u8; 6 << 20];
    upload.put_part(part.clone().into()).await.unwrap();
    upload.put_part(part.clone().into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.get(&large).await.unwrap().bytes().await.unwrap().len(), 12 << 20);
    assert!(folder.path().join("deep/er/large%20file").exists());
}
