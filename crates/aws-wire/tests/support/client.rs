//! Requests as AWS clients send them.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use super::{NOW_SECONDS, Served};

/// A request that can be signed, and then be tampered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Who signs, for what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    pub access_key_id: &'static str,
    pub secret_access_key: &'static str,
    pub session_token: Option<&'static str>,
    pub region: &'static str,
    pub service: &'static str,
    pub signed_at_seconds: u64,
    /// Seconds that a presigned request is good for. `None` signs in the header.
    pub expires_in: Option<u64>,
}

impl Signer {
    pub fn known(service: &'static str) -> Self {
        Self {
            access_key_id: "AKIDKNOWN",
            secret_access_key: "secret",
            session_token: None,
            region: "eu-west-1",
            service,
            signed_at_seconds: NOW_SECONDS,
            expires_in: None,
        }
    }
}

/// The answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Draft {
    pub fn new(method: &'static str, target: &str) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// An operation of a JSON service.
    pub fn json(target: &str, body: &str) -> Self {
        Self::new("POST", "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(body.as_bytes())
    }

    /// An action of a query service.
    pub fn form(body: &str) -> Self {
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        Self::new("POST", "/").header("content-type", content_type).body(body.as_bytes())
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Names a key without proving anything.
    pub fn claim(self, access_key_id: &str, service: &str) -> Self {
        let scope = format!("{access_key_id}/20260131/eu-west-1/{service}/aws4_request");
        let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        self.header("authorization", &authorization)
    }

    pub fn sign(mut self, served: &Served, signer: Signer) -> Self {
        if !self.headers.iter().any(|(name, _)| name == "host") {
            self = self.header("host", &served.host);
        }
        let Signer { access_key_id, secret_access_key, session_token, .. } = signer;
        let identity =
            Credentials::new(access_key_id, secret_access_key, session_token.map(Into::into), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.expires_in = signer.expires_in.map(Duration::from_secs);
        if signer.expires_in.is_some() {
            settings.signature_location = SignatureLocation::QueryParams;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(signer.region)
            .name(signer.service)
            .time(UNIX_EPOCH + Duration::from_secs(signer.signed_at_seconds))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let url = format!("http://{}{}", served.host, self.target);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(self.method, &url, headers, SignableBody::Bytes(&self.body)).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let mut request = http::Request::builder().uri(url).body(()).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        self.target = request.uri().path_and_query().unwrap().to_string();
        for (name, value) in request.headers() {
            self = self.header(name.as_str(), value.to_str().unwrap());
        }
        self
    }

    /// Sends the request as it is. The path is not tidied up on the way, as URL libraries do.
    pub async fn send(self, served: &Served) -> Answer {
        let stream = TcpStream::connect(&served.host).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(&self.target);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", &served.host);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body))).unwrap();
        Answer::read(sender.send_request(request).await.unwrap()).await
    }

    /// Sends the request over HTTP/2, to `host` as the client calls it.
    pub async fn send_http2(self, served: &Served, host: &str) -> Answer {
        let stream = TcpStream::connect(&served.host).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(self.method).uri(format!("http://{host}{}", self.target));
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "host") {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(self.body))).unwrap();
        Answer::read(sender.send_request(request).await.unwrap()).await
    }
}
