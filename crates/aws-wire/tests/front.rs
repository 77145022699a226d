//! Who may reach the gateway at all.

use crate::support::{client::Draft, serve_dev};

#[tokio::test]
async fn only_loopback_names_are_served() {
    let served = serve_dev().await;
    for host in ["localhost:4566", "[::1]:4566", "bucket.localhost:4566"] {
        let answer = Draft::new("GET", "/_dynaberg/health").header("host", host).send(&served).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:4566", "10.0.0.1:4566"] {
        let health = Draft::new("GET", "/_dynaberg/health").header("host", host).send(&served).await;
        assert_eq!((health.status, health.header("x-amzn-errortype")), (403, "AccessDeniedException"), "{host}");
        let s3 = Draft::new("GET", "/bucket").header("host", host).claim("test", "s3").send(&served).await;
        assert_eq!(s3.status, 403, "{host}");
        assert!(s3.text().contains("<Code>AccessDenied</Code>"), "{}", s3.text());
    }
}

#[tokio::test]
async fn a_web_page_gets_nothing() {
    let served = serve_dev().await;
    let from = |origin: &str| Draft::new("GET", "/iceberg/v1/config").header("origin", origin);
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        let answer = from(origin).send(&served).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let console = from("http://localhost:4567").send(&served).await;
    assert_eq!((console.status, console.header("access-control-allow-origin")), (200, ""));
}
