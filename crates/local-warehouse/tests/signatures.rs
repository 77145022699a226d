use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::support::table::create_orders;
use crate::support::{Served, serve_strict};

fn client(served: &Served, bucket: &str, (access_key_id, secret): (&str, &str), token: Option<&str>) -> AmazonS3 {
    let builder = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", served.host))
        .with_allow_http(true)
        .with_region("eu-west-1")
        .with_access_key_id(access_key_id)
        .with_secret_access_key(secret)
        .with_bucket_name(bucket);
    match token {
        Some(token) => builder.with_token(token).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

#[tokio::test]
async fn only_known_keys_that_sign_rightly_reach_objects() {
    let served = serve_strict().await;
    let path = Path::from("a b/ä");
    for (access_key_id, secret, token, is_known) in [
        ("AKIDKNOWN", "secret", None, true),
        ("ASIATEMPORARY", "secret", Some("token"), true),
        ("AKIDKNOWN", "wrong", None, false),
        ("AKIDOTHER", "secret", None, false),
        ("ASIATEMPORARY", "secret", None, false),
        ("ASIATEMPORARY", "secret", Some("other"), false),
        ("AKIDKNOWN", "secret", Some("token"), false),
    ] {
        let put = client(&served, "bucket", (access_key_id, secret), token).put(&path, "x".into()).await;
        // The bucket does not exist, which only those learn who are let in.
        let is_let_in = matches!(put, Err(Error::NotFound { .. }));
        assert_eq!(is_let_in, is_known, "{access_key_id} {secret} {token:?}: {put:?}");
    }
    for target in ["/bucket/key", "/", "/bucket?list-type=2"] {
        let unsigned = served.s3("GET", target, b"").await;
        assert_eq!((unsigned.status, unsigned.elements("Code")), (403, vec!["AccessDenied".to_owned()]));
    }
}

#[tokio::test]
async fn a_signed_client_writes_and_reads() {
    let served = serve_strict().await;
    let served = served.with_namespace().await;
    let table = create_orders(&served).await;
    let bucket = table.location().strip_prefix("s3://").unwrap();
    let store = client(&served, bucket, ("AKIDKNOWN", "secret"), None);
    let path = Path::from("deep/er/k = ü+%");
    store.put(&path, "signed".into()).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "signed");
    let listed = store.list_with_delimiter(Some(&Path::from("deep"))).await.unwrap();
    assert_eq!(listed.common_prefixes, [Path::from("deep/er")]);
    store.delete(&path).await.unwrap();
}
