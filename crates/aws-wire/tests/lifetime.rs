//! Connections and the end of the gateway.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{client::Draft, serve_dev};

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let served = serve_dev().await;
    let mut stream = TcpStream::connect(&served.host).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /_dynaberg/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\"running\"}") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection was closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn the_end_lets_an_upload_in_flight_finish() {
    let mut served = serve_dev().await;
    let mut stream = TcpStream::connect(&served.host).await.unwrap();
    stream.write_all(b"PUT /bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345").await.unwrap();
    // The second connection's answer shows that the gateway has had the chance to see the first one's bytes.
    Draft::new("GET", "/_dynaberg/health").send(&served).await;
    served.shutdown.cancel();
    stream.write_all(b"67890").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"body\":\"10\""), "{answer}");
    (&mut served.ended).await.unwrap();
    assert!(TcpStream::connect(&served.host).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn the_end_does_not_wait_for_idle_connections() {
    let mut served = serve_dev().await;
    let mut idle = TcpStream::connect(&served.host).await.unwrap();
    Draft::new("GET", "/_dynaberg/health").send(&served).await;
    served.shutdown.cancel();
    (&mut served.ended).await.unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
}
