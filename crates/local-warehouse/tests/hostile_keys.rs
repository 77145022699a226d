use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{encoded, serve};

/// What people put in paths to get out of folders, and what file systems do not take for a name.
fn hostile_keys() -> Vec<String> {
    let dots =
        ["..", ".", "...", "%2e%2e", "%2E.", ".%2e", "..;", "..%00", "..%c0%af", "%252e%252e", "‥", "..\u{0}", ".. "];
    let separators = ["/", "//", "\\", "/./", "%2f", "%5c", "\\/", "/\u{0}/"];
    let targets = ["etc/passwd", "warehouse/catalog.sqlite"];
    let mut keys = Vec::new();
    for dot in dots {
        for separator in separators {
            for target in targets {
                keys.push(format!("{dot}{separator}{dot}{separator}{dot}{separator}{target}"));
            }
        }
    }
    let single = [
        "/",
        "//",
        "/etc/passwd",
        "//etc/passwd",
        "~",
        "~/x",
        "~root/x",
        ".",
        "..",
        "./",
        "../",
        "a/..",
        "a/.",
        "a/",
        "a//",
        "a",
        "a/b",
        "a/b/c",
        "a.o",
        "a.d",
        "a.d/b.o",
        "a.c",
        ".o",
        ".d",
        ".c",
        "\0",
        "a\0b",
        "\n",
        "\r\n",
        "\t",
        " ",
        "  a  ",
        "a ",
        "a.",
        "CON",
        "NUL",
        "con.txt",
        "a:b",
        "C:\\x",
        "\\\\host\\share",
        "-rf",
        "--",
        "$(id)",
        "`id`",
        "${HOME}",
        "%",
        "%%",
        "%2",
        "%zz",
        "%2F",
        "?",
        "a?b",
        "#",
        "a#b",
        "*",
        "|",
        "<a>",
        "\"",
        "'",
        ";",
        "&",
        "+",
        "a+b",
        "ä",
        "a\u{308}",
        "Ä",
        "ß",
        "\u{1F600}",
        "\u{feff}",
        "\u{202e}gpj",
        "\u{7f}",
        "\u{fffd}",
        "\u{10ffff}",
        "A",
        "aA",
        "aa",
        ".dynaberg",
        "bucket.json",
        "staging",
        "uploads",
        "objects",
        "lock",
        "catalog.sqlite",
    ];
    keys.extend(single.map(str::to_owned));
    keys.push("x".repeat(1024));
    keys.push("ü".repeat(512));
    keys.push("/".repeat(1024));
    keys.push("%/".repeat(512));
    keys.push(format!("{}/y", "Z".repeat(1022)));
    keys.push("x".repeat(240));
    keys.push("x".repeat(241));
    keys.push(format!("{}/", "x".repeat(241)));
    keys.push(format!("{}-", "x".repeat(241)));
    keys
}

#[tokio::test]
async fn every_key_is_data_and_none_leaves_the_folder() {
    let served = serve().await;
    served.s3("PUT", "/bucket", b"").await;
    std::fs::write(served.folder.path().join("outside"), b"untouched").unwrap();
    let keys = hostile_keys();
    assert!(keys.len() >= 200, "{}", keys.len());
    let mut expected = BTreeMap::new();
    for key in &keys {
        let put = served.s3("PUT", &format!("/bucket/{}", encoded(key)), key.as_bytes()).await;
        assert_eq!(put.status, 200, "{key:?}: {}", put.text());
        expected.insert(key.clone(), key.clone());
    }
    for (key, body) in &expected {
        let got = served.s3("GET", &format!("/bucket/{}", encoded(key)), b"").await;
        assert_eq!((got.status, got.text()), (200, body.clone()), "{key:?}");
    }
    let listed = served.s3("GET", "/bucket?list-type=2&encoding-type=url", b"").await;
    let found: Vec<String> = listed.elements("Key").iter().map(|key| decoded(key)).collect();
    let sorted: Vec<String> = expected.keys().cloned().collect();
    assert_eq!(found, sorted, "in the order of UTF-8 bytes");
    let entries: Vec<_> = served.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries.len(), 2, "{entries:?}");
    check_private(&served.folder.path().join("warehouse"));
    for key in expected.keys() {
        let deleted = served.s3("DELETE", &format!("/bucket/{}", encoded(key)), b"").await;
        assert_eq!(deleted.status, 204, "{key:?}");
    }
    let objects = served.folder.path().join("warehouse/buckets/bucket/objects");
    assert_eq!(objects.read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn keys_sent_without_encoding_mean_the_same() {
    let served = serve().await;
    served.s3("PUT", "/bucket", b"").await;
    for target in ["/bucket/../../outside", "/bucket/a/../b", "/bucket/./c", "/bucket//d", "/bucket/e/"] {
        assert_eq!(served.s3("PUT", target, b"x").await.status, 200, "{target}");
    }
    let listed = served.s3("GET", "/bucket?list-type=2", b"").await;
    assert_eq!(listed.elements("Key"), ["../../outside", "./c", "/d", "a/../b", "e/"]);
}

#[tokio::test]
async fn no_bucket_name_leaves_the_folder() {
    let served = serve().await;
    for key in hostile_keys() {
        let name = key.replace('/', "%2f");
        let answer = served.s3("PUT", &format!("/{}", encoded(&name)), b"").await;
        let is_plain = (3..64).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        assert!(answer.status >= 400 || is_plain, "{key:?}: {}", answer.status);
    }
    for name in ["..", ".", "../..", "a..b", "-ab", "ab-", "192.168.0.1", "xn--abc", "AB-C"] {
        assert!(served.s3("PUT", &format!("/{}", encoded(name)), b"").await.status >= 400, "{name}");
    }
}

#[tokio::test]
async fn a_key_beyond_1024_bytes_is_refused() {
    let served = serve().await;
    served.s3("PUT", "/bucket", b"").await;
    let put = served.s3("PUT", &format!("/bucket/{}", "x".repeat(1025)), b"").await;
    assert_eq!(put.elements("Code"), ["KeyTooLongError"]);
}

fn check_private(path: &Path) {
    let metadata = path.symlink_metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", path.display());
    if metadata.is_dir() {
        path.read_dir().unwrap().for_each(|entry| check_private(&entry.unwrap().path()));
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
