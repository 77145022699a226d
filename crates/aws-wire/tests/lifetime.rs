//! Connections, calls in flight, and the end of the gateway.

use std::{sync::Arc, time::Duration};

use aws_wire::Authentication;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::support::{Served, client::Draft, echo::HeldJson, gateway, run, serve_dev};

async fn connect(served: &Served, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&served.host).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Lets the gateway see what other connections have sent so far.
async fn round_trip(served: &Served) {
    Draft::new("GET", "/_dynaberg/health").send(served).await;
}

async fn serve_held() -> (Served, Arc<HeldJson>) {
    let held = Arc::new(HeldJson::default());
    (run(gateway(Authentication::Dev).json_service("held", held.clone())).await, held)
}

/// The head of a call that names `test` for its caller, up to what the body needs.
fn head(scope: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Held.Hold\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260131/eu-west-1/{scope}/aws4_request\r\n"
    )
}

const HEALTH: &str = "GET /_dynaberg/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// All but the last five bytes of an upload.
const UPLOAD: &str = "PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345";

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let served = serve_dev().await;
    let mut stream = connect(&served, "").await;
    for _ in 0..3 {
        stream.write_all(HEALTH.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\"running\"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection was closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn a_call_runs_to_its_end_though_its_client_hangs_up() {
    let (served, held) = serve_held().await;
    let stream = connect(&served, &format!("{}\r\n", head("held"))).await;
    held.started.notified().await;
    drop(stream);
    round_trip(&served).await;
    held.go.notify_one();
    held.ended.notified().await;
}

#[tokio::test]
async fn the_end_lets_an_upload_in_flight_finish() {
    let mut served = serve_dev().await;
    let mut stream = connect(&served, UPLOAD).await;
    round_trip(&served).await;
    served.shutdown.cancel();
    stream.write_all(b"67890").await.unwrap();
    let answer = read_to_end(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"body\":\"10\""), "{answer}");
    (&mut served.ended).await.unwrap();
    assert!(TcpStream::connect(&served.host).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn the_end_does_not_wait_for_idle_connections() {
    let mut served = serve_dev().await;
    let idle = connect(&served, "").await;
    round_trip(&served).await;
    served.shutdown.cancel();
    (&mut served.ended).await.unwrap();
    assert_eq!(read_to_end(idle).await, "");
}

#[tokio::test]
async fn the_end_waits_ten_seconds_for_a_call_and_no_longer() {
    let (mut served, held) = serve_held().await;
    let stream = connect(&served, &format!("{}\r\n", head("held"))).await;
    held.started.notified().await;
    tokio::time::pause();
    let asked = Instant::now();
    served.shutdown.cancel();
    (&mut served.ended).await.unwrap();
    let waited = asked.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&waited), "{waited:?}");
    assert_eq!(read_to_end(stream).await, "");
}

#[tokio::test]
async fn a_slow_client_does_not_keep_its_place() {
    let served = serve_dev().await;
    let half_a_head = connect(&served, "GET / HTTP/1.1\r\nHost:").await;
    let half_a_body = connect(&served, &format!("{}Content-Length: 10\r\n\r\n12345", head("s3tables"))).await;
    round_trip(&served).await;
    tokio::time::pause();
    let answer = read_to_end(half_a_body).await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("x-amzn-errortype: RequestTimeout\r\n"), "{answer}");
    assert_eq!(read_to_end(half_a_head).await, "");
}
