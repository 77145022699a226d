//! A warehouse in a folder of its own, behind a gateway on a free port.

mod http;
pub mod table;

use std::sync::Arc;

use ::http::{Method, Request};
use ambient::Ambient;
use aws_wire::{AccessKey, Authentication, Caller, Gateway, Identity, KnownKeys, RestService};
use bytes::Bytes;
use local_warehouse::{VendedCredentials, Warehouse};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use http::{Answer, send};

/// What the clock shows: 2026-01-31T12:00:00Z.
pub const NOW_MS: u64 = 1_769_860_800_000;
pub const BUCKET_ARN: &str = "arn:aws:s3tables:eu-west-1:000000000000:bucket/lake-bucket";

pub struct Served {
    pub warehouse: Warehouse,
    /// `127.0.0.1:PORT`.
    pub host: String,
    pub folder: Arc<TempDir>,
    shutdown: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An empty warehouse that takes any key.
pub async fn serve() -> Served {
    serve_folder(Arc::new(tempfile::tempdir().unwrap())).await
}

pub async fn serve_folder(folder: Arc<TempDir>) -> Served {
    serve_with(folder, Authentication::Dev).await
}

/// Knows the key `AKIDKNOWN` with the secret `secret`, and `ASIATEMPORARY` with the token `token`.
pub async fn serve_strict() -> Served {
    let mut keys = KnownKeys::default();
    let known =
        AccessKey { secret_access_key: "secret".into(), session_token: None, identity: Identity::user("known") };
    keys.insert("ASIATEMPORARY", AccessKey { session_token: Some("token".into()), ..known.clone() });
    keys.insert("AKIDKNOWN", known);
    serve_with(Arc::new(tempfile::tempdir().unwrap()), Authentication::Strict(Arc::new(keys))).await
}

async fn serve_with(folder: Arc<TempDir>, authentication: Authentication) -> Served {
    // Each opening draws other ids, as real randomness would.
    let opened = folder.path().read_dir().unwrap().count() as u128;
    let drawn = std::sync::atomic::AtomicU64::new(0);
    let random = move || {
        let count = drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        u128::from(count) << 64 | opened << 32 | 0x5eed
    };
    let now = || std::time::UNIX_EPOCH + std::time::Duration::from_millis(NOW_MS);
    let ambient = Ambient::new(now, random);
    let warehouse = Warehouse::open(&folder.path().join("warehouse"), ambient.clone()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let gateway = Gateway::new(ambient, authentication.clone())
        .rest_service("s3tables", warehouse.s3_tables())
        .iceberg(warehouse.iceberg_rest(&format!("http://{host}"), Some(vended())))
        .streaming_service("s3", warehouse.s3(authentication));
    let shutdown = CancellationToken::new();
    tokio::spawn(gateway.serve(listener, shutdown.clone()));
    Served { warehouse, host, folder, shutdown }
}

impl Served {
    /// Ends the gateway, and gives the folder free.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let folder = self.folder.path().join("warehouse/lock");
        drop(self);
        // The last connection may hold the warehouse a moment longer.
        let lock = std::fs::File::open(folder).unwrap();
        tokio::task::spawn_blocking(move || lock.lock()).await.unwrap().unwrap();
    }

    /// Calls S3, unsigned. `target` is sent as it is.
    pub async fn s3(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.s3_with(method, target, &[], body).await
    }

    pub async fn s3_with(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(&self.host, method, target, headers, body).await
    }

    /// Calls S3 Tables at the trait.
    pub async fn tables(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        call(&self.warehouse.s3_tables(), method, target, body).await
    }

    /// Calls the Iceberg catalog at the trait; `target` is what follows the prefix.
    pub async fn iceberg(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let service = self.warehouse.iceberg_rest("http://s3.test", Some(vended()));
        call(&service, method, &format!("/iceberg/v1/{}/{target}", encoded(BUCKET_ARN)), body).await
    }

    /// Makes the table bucket and the namespace `sales`.
    pub async fn with_namespace(self) -> Self {
        self.tables("PUT", "/buckets", serde_json::json!({ "name": "lake-bucket" })).await;
        let target = format!("/namespaces/{}", encoded(BUCKET_ARN));
        let (status, _) = self.tables("PUT", &target, serde_json::json!({ "namespace": ["sales"] })).await;
        assert_eq!(status, 200);
        self
    }
}

pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

async fn call(service: &Arc<dyn RestService>, method: &str, target: &str, body: Value) -> (u16, Value) {
    let caller = Caller {
        identity: Identity::administrator("000000000000"),
        region: "eu-west-1".into(),
        host: "localhost".into(),
        request_id: "request".into(),
    };
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let method: Method = method.parse().unwrap();
    let request = Request::builder().method(method).uri(target).body(body).unwrap();
    let response = service.call(&caller, request).await;
    let status = response.status().as_u16();
    let mut answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    if let Some(code) = response.headers().get("x-amzn-errortype") {
        answer["code"] = code.to_str().unwrap().into();
    }
    (status, answer)
}

fn vended() -> VendedCredentials {
    VendedCredentials { access_key_id: "dev".into(), secret_access_key: "dev".into() }
}
