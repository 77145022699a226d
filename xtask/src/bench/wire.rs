//! The least client of AWS's JSON protocols that there is, so that the server is what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

#[derive(Clone, Copy)]
pub enum Service {
    Kinesis,
    Sqs,
}

impl Service {
    /// Its name in signatures, the version of its protocol, and what stands before the names of its operations.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Kinesis => ("kinesis", "1.1", "Kinesis_20131202"),
            Self::Sqs => ("sqs", "1.0", "AmazonSQS"),
        }
    }
}

/// A connection that stays open.
pub struct Connection {
    service: Service,
    host: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(endpoint: &str, service: Service) -> Result<Self> {
        let host = endpoint.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { service, host, stream: BufReader::with_capacity(1 << 16, stream) })
    }

    pub fn call(&mut self, operation: &str, request: &Value) -> Result<Value> {
        let answer = self.send(operation, &request.to_string())?;
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }

    /// One call, and the bytes of its answer. `dev` asks for a name in the signature, and not for the signature itself.
    pub fn send(&mut self, operation: &str, body: &str) -> Result<Vec<u8>> {
        let (service, version, prefix) = self.service.words();
        let text = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-{version}\r\n\
             X-Amz-Target: {prefix}.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=dev/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={:064}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            0,
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        self.stream.get_mut().write_all(body.as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the server hung up");
            let line = line.trim_end();
            if status.is_empty() {
                status = line.to_owned();
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            } else if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        ensure!(status.contains(" 200 "), "{operation}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}
