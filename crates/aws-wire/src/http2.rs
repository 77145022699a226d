//! HTTP/2 on the port of HTTP/1.1, as clients speak it that know of it beforehand (RFC 9113, section 3.3): there is no
//! TLS here in which both could agree on it. Of AWS's services only SubscribeToShard asks for it.

use std::io;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request};
use tokio::net::TcpStream;

/// What every connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How soon a preface that has come in part is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Whether the client's first bytes are those of HTTP/2. They stay where they are.
pub(crate) async fn is_asked_for(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut first).await?;
        if count == 0 || !PREFACE.starts_with(&first[..count]) {
            return Ok(false);
        }
        if count == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The request as one of HTTP/1.1: HTTP/2 has the host in its target, where signatures and services do not look for it.
pub(crate) fn with_host<B>(mut request: Request<B>) -> Request<B> {
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = authority.filter(|_| !request.headers().contains_key(HOST)) {
        request.headers_mut().insert(HOST, host);
    }
    request
}
