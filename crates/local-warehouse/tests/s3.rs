use std::sync::Arc;

use futures::future::join_all;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::support::{Served, serve};

async fn served() -> Served {
    let served = serve().await;
    assert_eq!(served.s3("PUT", "/bucket", b"").await.status, 200);
    served
}

/// A client of AWS's S3, pointed at us.
fn client(served: &Served) -> impl ObjectStore + use<> {
    AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", served.host))
        .with_allow_http(true)
        .with_region("eu-west-1")
        .with_access_key_id("dev")
        .with_secret_access_key("dev")
        .with_bucket_name("bucket")
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let served = served().await;
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("x-amz-meta-owner", "me"),
        ("expires", "Sun, 01 Nov 2026 10:00:00 GMT"),
    ];
    let put = served.s3_with("PUT", "/bucket/a/b", &headers, b"hello world").await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.header("etag"), "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    let got = served.s3("GET", "/bucket/a/b", b"").await;
    assert_eq!((got.status, got.text().as_str()), (200, "hello world"));
    for (name, value) in headers {
        assert_eq!(got.header(name), value);
    }
    assert_eq!(got.header("etag"), put.header("etag"));
    assert_eq!(got.header("last-modified"), "Sat, 31 Jan 2026 12:00:00 GMT");
    let head = served.s3("HEAD", "/bucket/a/b", b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "11", 0));
    let range = served.s3_with("GET", "/bucket/a/b", &[("range", "bytes=6-99")], b"").await;
    assert_eq!((range.status, range.text().as_str()), (206, "world"));
    assert_eq!(range.header("content-range"), "bytes 6-10/11");
    let beyond = served.s3_with("GET", "/bucket/a/b", &[("range", "bytes=11-")], b"").await;
    assert_eq!(beyond.status, 416);
    assert_eq!(served.s3("DELETE", "/bucket/a/b", b"").await.status, 204);
    let gone = served.s3("GET", "/bucket/a/b", b"").await;
    assert_eq!((gone.status, gone.elements("Code")), (404, vec!["NoSuchKey".to_owned()]));
}

#[tokio::test]
async fn a_large_object_is_streamed_both_ways() {
    let served = served().await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
    assert_eq!(served.s3("PUT", "/bucket/large", &bytes).await.status, 200);
    assert!(served.s3("GET", "/bucket/large", b"").await.body == bytes);
    let range = served.s3_with("GET", "/bucket/large", &[("range", "bytes=-1000001")], b"").await;
    assert!(range.body == bytes[1_999_999..]);
    let empty = served.s3("PUT", "/bucket/empty", b"").await;
    assert_eq!(empty.status, 200);
    assert_eq!(served.s3("GET", "/bucket/empty", b"").await.body, b"");
}

#[tokio::test]
async fn of_many_who_create_an_object_one_does() {
    let served = served().await;
    let puts = (0..20).map(|i| {
        let body = format!("body {i}");
        let served = &served;
        async move { served.s3_with("PUT", "/bucket/once", &[("if-none-match", "*")], body.as_bytes()).await }
    });
    let statuses: Vec<u16> = join_all(puts).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 19, "{statuses:?}");
}

#[tokio::test]
async fn conditions_decide_over_reads_and_writes() {
    let served = served().await;
    let put = served.s3("PUT", "/bucket/k", b"one").await;
    let etag = put.header("etag");
    for (headers, status) in [
        ([("if-match", etag)], 200),
        ([("if-match", "\"other\"")], 412),
        ([("if-none-match", etag)], 304),
        ([("if-none-match", "\"other\"")], 200),
        ([("if-modified-since", "Sat, 31 Jan 2026 12:00:00 GMT")], 304),
        ([("if-modified-since", "Sat, 31 Jan 2026 11:59:59 GMT")], 200),
        ([("if-unmodified-since", "Sat, 31 Jan 2026 11:59:59 GMT")], 412),
    ] {
        assert_eq!(served.s3_with("GET", "/bucket/k", &headers, b"").await.status, status, "{headers:?}");
    }
    let stale = served.s3_with("PUT", "/bucket/k", &[("if-match", "\"other\"")], b"two").await;
    assert_eq!((stale.status, stale.elements("Code")), (412, vec!["PreconditionFailed".to_owned()]));
    assert_eq!(served.s3_with("PUT", "/bucket/k", &[("if-match", etag)], b"two").await.status, 200);
    assert_eq!(served.s3_with("PUT", "/bucket/none", &[("if-match", etag)], b"x").await.status, 404);
    assert_eq!(served.s3_with("PUT", "/bucket/k", &[("if-none-match", etag)], b"x").await.status, 501);
}

#[tokio::test]
async fn a_body_that_does_not_match_its_checksum_leaves_nothing() {
    let served = served().await;
    // CRC32 of "hello".
    let right = "NhCmhg==";
    for (name, value, status) in [
        ("x-amz-checksum-crc32", right, 200),
        ("x-amz-checksum-crc32", "AAAAAA==", 400),
        ("x-amz-checksum-sha256", "AAAA", 400),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==", 200),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", 400),
    ] {
        let put = served.s3_with("PUT", "/bucket/checked", &[(name, value)], b"hello").await;
        assert_eq!(put.status, status, "{name} {value} {}", put.text());
        let expected = if status == 200 { 200 } else { 404 };
        assert_eq!(served.s3("HEAD", "/bucket/checked", b"").await.status, expected);
        served.s3("DELETE", "/bucket/checked", b"").await;
    }
    for (trailer, status) in [(right, 200), ("AAAAAA==", 400)] {
        let body = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{trailer}\r\n\r\n");
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-decoded-content-length", "5"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let put = served.s3_with("PUT", "/bucket/chunked", &headers, body.as_bytes()).await;
        assert_eq!(put.status, status, "{}", put.text());
    }
    let got = served.s3_with("GET", "/bucket/chunked", &[("x-amz-checksum-mode", "ENABLED")], b"").await;
    assert_eq!((got.text().as_str(), got.header("x-amz-checksum-crc32")), ("hello", right));
    assert_eq!(got.header("content-encoding"), "");
    let staging = served.folder.path().join("warehouse/staging");
    assert_eq!(staging.read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_in_parts_is_one_object() {
    let served = served().await;
    let client = client(&served);
    let path = Path::from("parts/whole");
    let mut upload = client.put_multipart(&path).await.unwrap();
    let first = vec![1u8; 5 << 20];
    let second = vec![2u8; 1 << 20];
    let parts = [upload.put_part(first.clone().into()), upload.put_part(second.clone().into())];
    futures::future::try_join_all(parts).await.unwrap();
    upload.complete().await.unwrap();
    let got = client.get(&path).await.unwrap();
    assert!(got.meta.e_tag.as_deref().unwrap().ends_with("-2\""));
    let bytes = got.bytes().await.unwrap();
    assert!(bytes[..5 << 20] == first && bytes[5 << 20..] == second);
    let part = served.s3("GET", "/bucket/parts/whole?partNumber=2", b"").await;
    assert!(part.status == 206 && part.body == second);

    let mut aborted = client.put_multipart(&Path::from("parts/aborted")).await.unwrap();
    aborted.put_part(PutPayload::from_static(b"x")).await.unwrap();
    assert_eq!(served.s3("GET", "/bucket?uploads", b"").await.elements("Key"), ["parts/aborted"]);
    aborted.abort().await.unwrap();
    assert_eq!(served.s3("GET", "/bucket?uploads", b"").await.elements("Key").len(), 0);
    assert_eq!(served.folder.path().join("warehouse/uploads").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn parts_are_checked_when_an_upload_is_completed() {
    let served = served().await;
    let begun = served.s3("POST", "/bucket/k?uploads", b"").await;
    let id = &begun.elements("UploadId")[0];
    let part = |number: i32| format!("/bucket/k?partNumber={number}&uploadId={id}");
    let one = served.s3("PUT", &part(1), b"small").await;
    let two = served.s3("PUT", &part(2), b"last").await;
    let complete = |parts: &[(i32, &str)]| {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
            .collect();
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
    };
    let (one, two) = (one.header("etag").to_owned(), two.header("etag").to_owned());
    let target = format!("/bucket/k?uploadId={id}");
    for (parts, code) in [
        (vec![(1, one.as_str()), (2, two.as_str())], "EntityTooSmall"),
        (vec![(2, two.as_str()), (1, one.as_str())], "InvalidPartOrder"),
        (vec![(1, two.as_str())], "InvalidPart"),
        (vec![(3, one.as_str())], "InvalidPart"),
        (vec![], "MalformedXML"),
    ] {
        let answer = served.s3("POST", &target, complete(&parts).as_bytes()).await;
        assert_eq!(answer.elements("Code"), [code], "{}", answer.text());
    }
    assert_eq!(served.s3("PUT", &format!("/bucket/k?partNumber=10001&uploadId={id}"), b"").await.status, 400);
    for id in ["", "..", "../..", "0", "ABCDEF00000000000000000000000000", "%2e%2e%2f%2e%2e%2fbuckets"] {
        let answer = served.s3("PUT", &format!("/bucket/k?partNumber=1&uploadId={id}"), b"x").await;
        assert_eq!(answer.elements("Code"), ["NoSuchUpload"], "{id}");
    }
    let done = served.s3("POST", &target, complete(&[(2, &two)]).as_bytes()).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(served.s3("GET", "/bucket/k", b"").await.text(), "last");
    assert_eq!(served.s3("POST", &target, complete(&[(2, &two)]).as_bytes()).await.elements("Code"), ["NoSuchUpload"]);
}

#[tokio::test]
async fn an_object_is_copied_with_what_it_carries() {
    let served = served().await;
    let headers = [("content-type", "text/plain"), ("x-amz-meta-a", "1")];
    served.s3_with("PUT", "/bucket/from%20here", &headers, b"copied").await;
    let source = ("x-amz-copy-source", "/bucket/from%20here");
    assert_eq!(served.s3_with("PUT", "/bucket/to", &[source], b"").await.status, 200);
    let got = served.s3("GET", "/bucket/to", b"").await;
    assert_eq!((got.text().as_str(), got.header("x-amz-meta-a")), ("copied", "1"));
    let replace = [source, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    served.s3_with("PUT", "/bucket/to", &replace, b"").await;
    let got = served.s3("HEAD", "/bucket/to", b"").await;
    assert_eq!((got.header("x-amz-meta-a"), got.header("x-amz-meta-b")), ("", "2"));
    let same = served.s3_with("PUT", "/bucket/from%20here", &[source], b"").await;
    assert_eq!(same.elements("Code"), ["InvalidRequest"]);
    let none = served.s3_with("PUT", "/bucket/to", &[("x-amz-copy-source", "/bucket/none")], b"").await;
    assert_eq!(none.elements("Code"), ["NoSuchKey"]);
}

#[tokio::test]
async fn buckets_come_and_go_empty() {
    let served = served().await;
    assert_eq!(served.s3("HEAD", "/bucket", b"").await.status, 200);
    assert_eq!(served.s3("HEAD", "/other", b"").await.status, 404);
    assert_eq!(served.s3("PUT", "/other/key", b"x").await.elements("Code"), ["NoSuchBucket"]);
    served.s3("PUT", "/bucket/a/b/c", b"x").await;
    assert_eq!(served.s3("DELETE", "/bucket", b"").await.elements("Code"), ["BucketNotEmpty"]);
    served.s3("DELETE", "/bucket/a/b/c", b"").await;
    let objects = served.folder.path().join("warehouse/buckets/bucket/objects");
    assert_eq!(objects.read_dir().unwrap().count(), 0, "empty directories go with their last object");
    assert_eq!(served.s3("DELETE", "/bucket", b"").await.status, 204);
    assert_eq!(served.s3("HEAD", "/bucket", b"").await.status, 404);
    assert_eq!(served.s3("PUT", "/a--table-s3", b"").await.elements("Code"), ["InvalidBucketName"]);
}

#[tokio::test]
async fn a_bucket_of_another_account_is_not_reached_by_mistake() {
    let served = served().await;
    for (owner, status) in [("000000000000", 200), ("111111111111", 403)] {
        let headers = [("x-amz-expected-bucket-owner", owner)];
        assert_eq!(served.s3_with("PUT", "/bucket/k", &headers, b"x").await.status, status);
        assert_eq!(served.s3_with("GET", "/bucket?list-type=2", &headers, b"").await.status, status);
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_name() {
    let served = served().await;
    for (method, target, headers) in [
        ("PUT", "/bucket/k", [("x-amz-server-side-encryption", "aws:kms")]),
        ("PUT", "/bucket/k", [("x-amz-tagging", "a=b")]),
        ("PUT", "/bucket/k", [("x-amz-object-lock-mode", "GOVERNANCE")]),
        ("PUT", "/bucket/k", [("x-amz-website-redirect-location", "/x")]),
        ("GET", "/bucket/k?tagging", [("x", "y")]),
        ("GET", "/bucket?versioning", [("x", "y")]),
        ("PUT", "/bucket?lifecycle", [("x", "y")]),
    ] {
        let answer = served.s3_with(method, target, &headers, b"").await;
        let is_refused = (400..600).contains(&answer.status) && !answer.elements("Message").concat().is_empty();
        assert!(is_refused, "{target} {headers:?}: {} {}", answer.status, answer.text());
    }
    assert_eq!(served.s3("HEAD", "/bucket/k", b"").await.status, 404);
}

#[tokio::test]
async fn the_policy_of_a_bucket_is_kept_told_and_removed() {
    let served = served().await;
    let missing = served.s3("GET", "/bucket?policy", b"").await;
    assert_eq!((missing.status, missing.elements("Code").concat().as_str()), (404, "NoSuchBucketPolicy"));
    let policy = |effect: &str, resource: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":"*","Action":"s3:GetObject","Resource":"{resource}"}}]}}"#
        )
    };
    for (effect, is_public) in [("Deny", "false"), ("Allow", "true")] {
        let policy = policy(effect, "arn:aws:s3:::bucket/*");
        assert_eq!(served.s3("PUT", "/bucket?policy", policy.as_bytes()).await.status, 204);
        assert_eq!(served.s3("GET", "/bucket?policy", b"").await.text(), policy);
        let status = served.s3("GET", "/bucket?policyStatus", b"").await;
        assert_eq!(status.elements("IsPublic").concat().to_lowercase(), is_public);
    }
    for wrong in [
        "{".to_owned(),
        r#"{"Statement":[]}"#.to_owned(),
        policy("May", "arn:aws:s3:::bucket"),
        policy("Allow", "arn:aws:s3:::other/*"),
    ] {
        let refused = served.s3("PUT", "/bucket?policy", wrong.as_bytes()).await;
        assert_eq!((refused.status, refused.elements("Code").concat().as_str()), (400, "MalformedPolicy"), "{wrong}");
    }
    assert_eq!(served.s3("DELETE", "/bucket?policy", b"").await.status, 204);
    assert_eq!(served.s3("GET", "/bucket?policyStatus", b"").await.status, 404);
    assert_eq!(
        served.s3("PUT", "/nowhere?policy", policy("Deny", "arn:aws:s3:::nowhere").as_bytes()).await.status,
        404
    );
}

#[tokio::test]
async fn many_writers_of_one_key_leave_one_whole_object() {
    let served = Arc::new(served().await);
    let writes = (0..16u8).map(|i| {
        let served = served.clone();
        async move { served.s3("PUT", "/bucket/deep/er/key", &vec![i; 100_000]).await.status }
    });
    let deletes = (0..16).map(|_| {
        let served = served.clone();
        async move { served.s3("DELETE", "/bucket/deep/er/key", b"").await.status }
    });
    let (writes, deletes) = futures::join!(join_all(writes), join_all(deletes));
    assert!(writes.iter().all(|status| *status == 200), "{writes:?}");
    assert!(deletes.iter().all(|status| *status == 204), "{deletes:?}");
    served.s3("PUT", "/bucket/deep/er/key", &[9; 100_000]).await;
    let got = served.s3("GET", "/bucket/deep/er/key", b"").await;
    assert!(got.body == [9; 100_000]);
}
