use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion};

use crate::support::{Served, serve};

async fn served() -> (Served, std::sync::Arc<dyn ObjectStore>) {
    let served = serve().await;
    served.s3("PUT", "/bucket", b"").await;
    let store = served.warehouse.object_store("bucket").unwrap();
    (served, store)
}

fn payload(text: &'static str) -> PutPayload {
    PutPayload::from_static(text.as_bytes())
}

#[tokio::test]
async fn both_ways_lead_to_the_same_objects() {
    let (served, store) = served().await;
    let path = Path::from("a/b");
    store.put(&path, payload("in process")).await.unwrap();
    let got = served.s3("GET", "/bucket/a/b", b"").await;
    assert_eq!(got.text(), "in process");
    assert_eq!(store.head(&path).await.unwrap().e_tag.as_deref(), Some(got.header("etag")));
    served.s3("PUT", "/bucket/a/b", b"over HTTP").await;
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "over HTTP");
    assert!(served.warehouse.object_store("none").is_none());
}

#[tokio::test]
async fn an_object_is_created_once_and_updated_by_its_etag() {
    let (_served, store) = served().await;
    let path = Path::from("once");
    let first = store.put_opts(&path, payload("1"), PutMode::Create.into()).await.unwrap();
    let again = store.put_opts(&path, payload("2"), PutMode::Create.into()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    let update = |e_tag: Option<String>| PutMode::Update(UpdateVersion { e_tag, version: None });
    store.put_opts(&path, payload("3"), update(first.e_tag.clone()).into()).await.unwrap();
    let stale = store.put_opts(&path, payload("4"), update(first.e_tag).into()).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "3");
}

#[tokio::test]
async fn ranges_are_read_as_http_has_them() {
    let (_served, store) = served().await;
    let path = Path::from("digits");
    store.put(&path, payload("0123456789")).await.unwrap();
    assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&path, 8..50).await.unwrap(), "89");
    assert!(store.get_range(&path, 10..11).await.is_err());
    let ranges = store.get_ranges(&path, &[0..1, 9..10, 3..6]).await.unwrap();
    assert_eq!(ranges, ["0", "9", "345"]);
    let suffix = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    assert_eq!(store.get_opts(&path, suffix).await.unwrap().bytes().await.unwrap(), "789");
    let offset = GetOptions { range: Some(GetRange::Offset(7)), ..GetOptions::default() };
    assert_eq!(store.get_opts(&path, offset).await.unwrap().bytes().await.unwrap(), "789");
}

#[tokio::test]
async fn a_large_object_is_written_in_parts_and_read_in_pieces() {
    let (_served, store) = served().await;
    let path = Path::from("large");
    let mut upload = store.put_multipart(&path).await.unwrap();
    let parts: Vec<Vec<u8>> = (0..5u8).map(|i| vec![i; 3_000_000 + usize::from(i)]).collect();
    let mut writes: Vec<_> = parts.iter().map(|part| upload.put_part(part.clone().into())).collect();
    writes.reverse();
    futures::future::try_join_all(writes).await.unwrap();
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })), "nothing is seen before the end");
    upload.complete().await.unwrap();
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == parts.concat());
    let mut aborted = store.put_multipart(&Path::from("aborted")).await.unwrap();
    aborted.put_part(payload("x")).await.unwrap();
    aborted.abort().await.unwrap();
    assert!(aborted.complete().await.is_err());
}

#[tokio::test]
async fn objects_are_listed_copied_renamed_and_deleted() {
    let (_served, store) = served().await;
    for key in ["a/1", "a/2", "a/b/3", "ab", "c"] {
        store.put(&Path::from(key), payload("x")).await.unwrap();
    }
    let list = async |prefix: Option<&str>| -> Vec<String> {
        let prefix = prefix.map(Path::from);
        let found: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
        found.into_iter().map(|meta| meta.location.to_string()).collect()
    };
    assert_eq!(list(None).await, ["a/1", "a/2", "a/b/3", "ab", "c"]);
    assert_eq!(list(Some("a")).await, ["a/1", "a/2", "a/b/3"]);
    let level = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!((level.objects.len(), level.common_prefixes), (2, vec![Path::from("a/b")]));
    store.copy(&Path::from("c"), &Path::from("d")).await.unwrap();
    let over = store.copy_if_not_exists(&Path::from("c"), &Path::from("d")).await;
    assert!(matches!(over, Err(Error::AlreadyExists { .. })));
    store.rename(&Path::from("d"), &Path::from("e")).await.unwrap();
    let paths = futures::stream::iter(["a/1", "a/2", "e", "none"].map(|key| Ok(Path::from(key)))).boxed();
    let deleted: Vec<_> = store.delete_stream(paths).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 4);
    assert_eq!(list(None).await, ["a/b/3", "ab", "c"]);
}
