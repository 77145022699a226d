//! One HTTP exchange with the catalog, signed where the catalog wants it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Request, Response};

use crate::catalog::Signing;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::SdkCredentials;

/// Sends a request once: it never repeats one, and never follows a redirect. What a commit may conclude from a failure
/// depends on it.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

/// Why there is no answer.
#[derive(Debug)]
pub enum TransportError {
    /// The catalog cannot have seen the request.
    NotSent(Error),
    /// The catalog may have seen it, and may still act on it.
    NoAnswer(Error),
}

impl TransportError {
    pub fn into_error(self) -> Error {
        match self {
            Self::NotSent(error) | Self::NoAnswer(error) => error,
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The network, with each request signed where that is wanted.
pub struct HttpTransport {
    client: reqwest::Client,
    signer: Option<Signer>,
}

impl HttpTransport {
    pub fn new(signing: Option<Signing>, ambient: Ambient) -> Result<Self> {
        Self::answering_within(ANSWER_TIMEOUT, signing, ambient)
    }

    /// The same for services that take another time to answer.
    pub fn answering_within(answer_timeout: Duration, signing: Option<Signing>, ambient: Ambient) -> Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(answer_timeout)
            .build();
        let client =
            client.map_err(|error| Error::new(ErrorKind::Unexpected, "make an HTTP client").with_source(error))?;
        Ok(Self { client, signer: signing.map(|signing| Signer::new(signing, ambient)) })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if let Some(signer) = &self.signer {
            signer.sign(&mut request).await.map_err(TransportError::NotSent)?;
        }
        let doing = format!("{} {}", request.method(), request.uri().path());
        let request = reqwest::Request::try_from(request).map_err(|error| {
            TransportError::NotSent(Error::new(ErrorKind::Refused, doing.clone()).with_source(error))
        })?;
        let mut answer = self.client.execute(request).await.map_err(|error| {
            let was_sent = !(error.is_connect() || error.is_builder());
            let error = Error::new(ErrorKind::Transient, doing.clone()).with_source(error);
            if was_sent { TransportError::NoAnswer(error) } else { TransportError::NotSent(error) }
        })?;

        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            TransportError::NoAnswer(Error::new(ErrorKind::Transient, doing.clone()).with_source(error))
        };
        let body = answer.bytes().await.map_err(|error| unreadable(error.into()))?;
        response.body(body).map_err(|error| unreadable(error.into()))
    }
}

/// Signature version 4. Every attempt is signed anew, as the time is part of the signature.
struct Signer {
    credentials: SdkCredentials,
    region: String,
    service: String,
    ambient: Ambient,
}

impl Signer {
    fn new(signing: Signing, ambient: Ambient) -> Self {
        let credentials = SdkCredentials::new(signing.credentials, ambient.clone());
        Self { credentials, region: signing.region, service: signing.service, ambient }
    }

    async fn sign(&self, request: &mut Request<Bytes>) -> Result<()> {
        let unsignable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Refused, "sign a catalog request").with_source(error)
        };
        let credentials =
            self.credentials.get().await.map_err(|error| {
                Error::new(ErrorKind::Transient, "get credentials for the catalog").with_source(error)
            })?;
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(self.ambient.now())
            .settings(settings)
            .build()
            .map_err(|error| unsignable(error.into()))?
            .into();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers,
            SignableBody::Bytes(request.body()),
        )
        .map_err(|error| unsignable(error.into()))?;
        let signed = sign(signable, &parameters).map_err(|error| unsignable(error.into()))?;
        let (instructions, _signature) = signed.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}
