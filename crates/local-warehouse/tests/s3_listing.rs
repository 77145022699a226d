use crate::support::{Served, encoded, serve};

const KEYS: [&str; 16] =
    ["a", "a-b", "a.b", "a/", "a/b", "a/b/c", "a/b/d", "a/c", "a0", "b/x/1", "b/x/2", "b/y", "c", "d//e", "d/f", "é"];

async fn served() -> Served {
    let served = serve().await;
    served.s3("PUT", "/bucket", b"").await;
    for key in KEYS {
        assert_eq!(served.s3("PUT", &format!("/bucket/{}", encoded(key)), key.as_bytes()).await.status, 200);
    }
    served
}

/// What S3 answers, from the definition rather than from a walk over directories.
fn expected(prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut keys: Vec<&str> = KEYS.iter().copied().filter(|key| key.starts_with(prefix) && *key > after).collect();
    keys.sort_unstable();
    for key in keys {
        let behind = &key[prefix.len()..];
        let entry = match behind.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => format!("{prefix}{}", &behind[..at + delimiter.len()]),
            None => key.to_owned(),
        };
        if found.last() != Some(&entry) {
            found.push(entry);
        }
    }
    found
}

/// All pages, as one list.
async fn list(served: &Served, parameters: &str, page_size: usize, version: u8) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let kind = if version == 2 { "&list-type=2" } else { "" };
        let target = format!("/bucket?max-keys={page_size}{kind}{parameters}{next}");
        let answer = served.s3("GET", &target, b"").await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let mut page = answer.elements("Key");
        for prefixes in answer.elements("CommonPrefixes") {
            page.push(prefixes.replace("<Prefix>", "").replace("</Prefix>", ""));
        }
        page.sort_unstable();
        assert!(page.len() <= page_size, "{page:?}");
        let last = page.last().cloned().unwrap_or_default();
        found.extend(page);
        if answer.elements("IsTruncated") == ["false"] {
            return found;
        }
        next = match answer.elements("NextContinuationToken").first() {
            Some(token) => format!("&continuation-token={}", encoded(token)),
            None => format!("&marker={}", encoded(answer.elements("NextMarker").first().unwrap_or(&last))),
        };
    }
}

#[tokio::test]
async fn pages_hold_keys_and_common_prefixes_in_order() {
    let served = served().await;
    for prefix in ["", "a", "a/", "a/b", "a/b/", "b/x", "d/", "none", "é"] {
        for delimiter in ["", "/", "b", "/x/"] {
            for page_size in [1, 2, 5, 1000] {
                let parameters = format!("&prefix={}&delimiter={}", encoded(prefix), encoded(delimiter));
                for version in [1, 2] {
                    let found = list(&served, &parameters, page_size, version).await;
                    assert_eq!(
                        found,
                        expected(prefix, delimiter, ""),
                        "{prefix:?} {delimiter:?} {page_size} {version}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_listing_starts_after_any_key() {
    let served = served().await;
    for after in ["", "a", "a-", "a/", "a/a", "a/b/c", "a/zzz", "b", "zzz", "\u{ffff}"] {
        for delimiter in ["", "/"] {
            let parameters = format!("&start-after={}&delimiter={}", encoded(after), encoded(delimiter));
            let found = list(&served, &parameters, 1000, 2).await;
            let mut expected = expected("", delimiter, after);
            // What begins with the delimiter's end has been passed.
            expected.retain(|entry| entry != after);
            assert_eq!(found, expected, "{after:?} {delimiter:?}");
        }
    }
}

#[tokio::test]
async fn a_page_may_be_asked_to_hold_nothing() {
    let served = served().await;
    let answer = served.s3("GET", "/bucket?list-type=2&max-keys=0", b"").await;
    assert_eq!((answer.elements("Key").len(), answer.elements("IsTruncated")), (0, vec!["false".to_owned()]));
    assert_eq!(served.s3("GET", "/bucket?list-type=2&max-keys=-1", b"").await.status, 400);
    assert_eq!(served.s3("GET", "/bucket?list-type=2&continuation-token=%21", b"").await.status, 400);
}

#[tokio::test]
async fn many_keys_are_deleted_at_once() {
    let served = served().await;
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>a/b/c</Key></Object><Object><Key>none</Key></Object></Delete>";
    let answer = served.s3("POST", "/bucket?delete", body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.elements("Key"), ["a", "a/b/c", "none"]);
    let left = list(&served, "", 1000, 2).await;
    assert_eq!(left.len(), KEYS.len() - 2);
    assert!(left.contains(&"a/b".to_owned()) && left.contains(&"a/b/d".to_owned()));
}
