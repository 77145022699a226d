//! HTTP/2 without TLS, on the same port.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Answer, Draft, Signer};
use crate::support::{serve_dev, serve_strict};

const PUT_RECORDS: &str = "Kinesis_20131202.PutRecords";

#[tokio::test]
async fn a_signed_call_is_answered_over_either_version_alike() {
    let served = serve_strict().await;
    let draft = Draft::json(PUT_RECORDS, "{}").sign(&served, Signer::known("kinesis"));
    let over_two = draft.clone().send_http2(&served, &served.host).await;
    let over_one = draft.send(&served).await;
    assert_eq!(over_two.status, 200, "{}", over_two.text());
    // Each call has an id of its own.
    let told = |answer: &Answer| {
        let mut told = answer.json();
        told["request_id"].take();
        told
    };
    assert_eq!(told(&over_two), told(&over_one));
    assert_eq!(over_two.header("content-type"), over_one.header("content-type"));
}

#[tokio::test]
async fn names_of_others_are_refused_over_http2_too() {
    let served = serve_dev().await;
    let draft = Draft::json(PUT_RECORDS, "{}").claim("test", "kinesis");
    assert_eq!(draft.clone().send_http2(&served, "localhost:4566").await.status, 200);
    let refused = draft.send_http2(&served, "evil.example:4566").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
}

#[tokio::test]
async fn a_body_of_several_frames_arrives_whole() {
    let served = serve_dev().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20));
    let answer = Draft::json(PUT_RECORDS, &body).claim("test", "kinesis").send_http2(&served, &served.host).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(&"x".repeat(3 << 20)));
}

#[tokio::test]
async fn a_preface_may_come_in_pieces() {
    let served = serve_dev().await;
    let mut stream = TcpStream::connect(&served.host).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in ["P", "RI * HTTP/2.0\r\n", "\r\nSM\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    // An empty SETTINGS frame of the client; the server's own comes first, whose type is in the fourth byte.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "{head:?}");
}
