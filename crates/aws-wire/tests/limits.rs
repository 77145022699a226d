//! How much a request may bring.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use crate::support::{client::Draft, serve_dev};

const MIB: usize = 1024 * 1024;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn put(body: impl Into<Vec<u8>>) -> Draft {
    Draft::json("DynamoDB_20120810.PutItem", "").body(body).claim("test", "dynamodb")
}

/// Bytes that gzip finds little in.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b' ' + (state >> 24) as u8 % 64
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn a_buffered_body_may_have_16_mib() {
    let served = serve_dev().await;
    let answer = put(vec![b'x'; 16 * MIB]).send(&served).await;
    assert_eq!(answer.status, 200);
    for too_long in [16 * MIB + 1, 20 * MIB] {
        let answer = put(vec![b'x'; too_long]).send(&served).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.json()["__type"], "com.amazonaws.dynamodb.v20120810#RequestEntityTooLarge");
    }
}

#[tokio::test]
async fn a_streamed_body_has_no_limit_of_the_gateway() {
    let served = serve_dev().await;
    let answer = Draft::new("PUT", "/bucket/key").body(vec![0; 20 * MIB]).claim("test", "s3").send(&served).await;
    assert_eq!(answer.json()["body"], (20 * MIB).to_string());
}

#[tokio::test]
async fn a_gzip_body_is_inflated() {
    let served = serve_dev().await;
    let body = noise(100_000);
    let answer = put(gzip(&body)).header("content-encoding", "gzip").send(&served).await;
    assert_eq!(answer.json()["body"], String::from_utf8(body).unwrap());
}

#[tokio::test]
async fn a_gzip_bomb_is_not_inflated() {
    let served = serve_dev().await;
    let mostly_zeros = [vec![b'0'; 16 * MIB], noise(MIB)].concat();
    for bomb in [vec![b'0'; MIB], mostly_zeros] {
        let answer = put(gzip(&bomb)).header("content-encoding", "gzip").send(&served).await;
        assert_eq!(answer.status, 413, "{} bytes", bomb.len());
    }
}

#[tokio::test]
async fn an_encoding_that_cannot_be_undone_is_refused() {
    let served = serve_dev().await;
    let half = gzip(b"{}")[..10].to_vec();
    for broken in [half, b"{}".to_vec(), Vec::new()] {
        let answer = put(broken).header("content-encoding", "gzip").send(&served).await;
        assert_eq!(answer.json()["__type"], "com.amazon.coral.service#SerializationException");
    }
    let answer = put("{}").header("content-encoding", "br").send(&served).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_head_may_have_16_kib() {
    let served = serve_dev().await;
    let with_header = |length: usize| put("{}").header("x-padding", &"x".repeat(length)).send(&served);
    assert_eq!(with_header(15 * 1024).await.status, 200);
    let answer = with_header(17 * 1024).await;
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (431, Some("Your request line and headers exceed 16384 bytes."))
    );
    assert_eq!(with_header(300 * 1024).await.status, 431);
    let long_target = format!("/tables?prefix={}", "x".repeat(17 * 1024));
    assert_eq!(Draft::new("GET", &long_target).claim("test", "s3tables").send(&served).await.status, 431);
}
