//! A gateway with small services that echo what reached them.

pub mod client;
pub mod echo;

use std::sync::Arc;

use ambient::Ambient;
use aws_wire::{AccessKey, Authentication, Gateway, Identity, JsonVersion, KnownKeys};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use echo::{EchoJson, EchoRest, EchoStream};

/// What the gateway's clock shows: 2026-01-31T12:00:00Z.
pub const NOW_SECONDS: u64 = 1_769_860_800;

/// A running gateway; it stops when dropped.
pub struct Served {
    /// `127.0.0.1:PORT`.
    pub host: String,
    pub shutdown: CancellationToken,
    pub ended: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub async fn serve_dev() -> Served {
    serve(Authentication::Dev).await
}

/// Knows `AKIDKNOWN` with the secret `secret`, and `ASIATEMPORARY` with the token `token+/=`.
pub async fn serve_strict() -> Served {
    let mut keys = KnownKeys::default();
    let secret_access_key = "secret".to_owned();
    let known = AccessKey { secret_access_key, session_token: None, identity: Identity::user("known") };
    keys.insert("ASIATEMPORARY", AccessKey { session_token: Some("token+/=".into()), ..known.clone() });
    keys.insert("AKIDKNOWN", known);
    serve(Authentication::Strict(Arc::new(keys))).await
}

async fn serve(authentication: Authentication) -> Served {
    run(gateway(authentication)).await
}

/// A gateway with an echo at each scope.
pub fn gateway(authentication: Authentication) -> Gateway {
    let dynamodb = |target_prefix| EchoJson {
        target_prefix,
        json_version: JsonVersion::V1_0,
        error_namespace: Some("com.amazonaws.dynamodb.v20120810"),
    };
    let kinesis =
        EchoJson { target_prefix: "Kinesis_20131202", json_version: JsonVersion::V1_1, error_namespace: None };
    Gateway::new(Ambient::fixed(NOW_SECONDS * 1000), authentication)
        .json_service("dynamodb", Arc::new(dynamodb("DynamoDB_20120810")))
        .json_service("dynamodb", Arc::new(dynamodb("DynamoDBStreams_20120810")))
        .json_service("kinesis", Arc::new(kinesis))
        .rest_service("s3tables", Arc::new(EchoRest("s3tables")))
        .iceberg(Arc::new(EchoRest("iceberg")))
        .streaming_service("s3", Arc::new(EchoStream))
}

pub async fn run(gateway: Gateway) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(gateway.serve(listener, shutdown.clone()));
    Served { host, shutdown, ended }
}
