//! The requests of the Iceberg REST protocol: addresses, repeats, and what an answer's status means.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use iceberg::{NamespaceIdent, TableIdent};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::backoff::Backoff;
use crate::catalog::transport::{Transport, TransportError};
use crate::error::{Error, ErrorKind, Result};

/// Attempts at a request that changes nothing.
const READ_ATTEMPTS_MAX: u32 = 6;
const READ_BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

/// All that RFC 3986 reserves: a slash in a name does not become a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The catalog at one address.
pub(crate) struct Rest {
    pub transport: Arc<dyn Transport>,
    /// Ends in `/v1`.
    pub base: String,
    /// What `GET v1/config` says stands between `v1` and the rest; percent-encoded by the catalog.
    pub prefix: Option<String>,
    pub ambient: Ambient,
}

/// The body of an error answer.
#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorModel,
}

#[derive(Deserialize)]
struct ErrorModel {
    #[serde(default)]
    message: String,
    #[serde(default)]
    r#type: String,
}

impl Rest {
    /// The address with or without `/v1`, with or without a slash at its end.
    pub fn base_of(uri: &str) -> String {
        let uri = uri.trim_end_matches('/');
        format!("{}/v1", uri.strip_suffix("/v1").unwrap_or(uri).trim_end_matches('/'))
    }

    pub fn config_url(&self, warehouse: Option<&str>) -> String {
        match warehouse {
            Some(warehouse) => format!("{}/config?warehouse={}", self.base, encoded(warehouse)),
            None => format!("{}/config", self.base),
        }
    }

    pub fn namespaces_url(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{}/{prefix}/namespaces", self.base),
            None => format!("{}/namespaces", self.base),
        }
    }

    pub fn namespace_url(&self, namespace: &NamespaceIdent) -> String {
        // Levels are joined with the unit separator, which is encoded to %1F.
        format!("{}/{}", self.namespaces_url(), encoded(&namespace.to_url_string()))
    }

    pub fn tables_url(&self, namespace: &NamespaceIdent) -> String {
        format!("{}/tables", self.namespace_url(namespace))
    }

    pub fn table_url(&self, table: &TableIdent) -> String {
        format!("{}/{}", self.tables_url(table.namespace()), encoded(table.name()))
    }

    /// Gets and reads an answer, repeating what may be repeated.
    pub async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let response = self.read_only(Method::GET, url).await?;
        read_body(url, &response)
    }

    /// Whether there is something at `url`.
    pub async fn exists(&self, url: &str) -> Result<bool> {
        match self.read_only(Method::HEAD, url).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn read_only(&self, method: Method, url: &str) -> Result<Response<Bytes>> {
        let mut attempt = 1;
        loop {
            let error = match self.exchange(method.clone(), url, Bytes::new()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if error.kind() != ErrorKind::Transient || attempt == READ_ATTEMPTS_MAX {
                return Err(error);
            }
            READ_BACKOFF.wait(&self.ambient, attempt).await;
            attempt += 1;
        }
    }

    /// Sends a request once. Any status but success is an error.
    pub async fn exchange(&self, method: Method, url: &str, body: Bytes) -> Result<Response<Bytes>> {
        let doing = format!("{method} {url}");
        let response = self.send(method, url, body).await.map_err(TransportError::into_error)?;
        match response.status() {
            status if status.is_success() => Ok(response),
            _ => Err(refusal(doing, &response)),
        }
    }

    /// Sends a request once, and gives the answer as it is.
    pub async fn send(&self, method: Method, url: &str, body: Bytes) -> Result<Response<Bytes>, TransportError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::ACCEPT, "application/json")
            .header("x-iceberg-access-delegation", "vended-credentials");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body).map_err(|error| {
            TransportError::NotSent(Error::new(ErrorKind::Refused, format!("address {url}")).with_source(error))
        })?;
        self.transport.send(request).await
    }
}

/// Reads a JSON body.
pub(crate) fn read_body<T: DeserializeOwned>(url: &str, response: &Response<Bytes>) -> Result<T> {
    serde_json::from_slice(response.body())
        .map_err(|error| Error::new(ErrorKind::Unexpected, format!("read the answer of {url}")).with_source(error))
}

/// The error that an answer other than success stands for.
pub(crate) fn refusal(doing: String, response: &Response<Bytes>) -> Error {
    let status = response.status();
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => ErrorKind::Transient,
        status if status.is_server_error() => ErrorKind::Transient,
        status if status.is_client_error() => ErrorKind::Refused,
        _ => ErrorKind::Unexpected,
    };
    let said = match serde_json::from_slice::<ErrorAnswer>(response.body()) {
        Ok(ErrorAnswer { error }) => format!("{status} {}: {}", error.r#type, error.message),
        Err(_) => status.to_string(),
    };
    Error::new(kind, doing).with_source(said)
}

pub(crate) fn encoded(segment: &str) -> String {
    match segment {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(segment, SEGMENT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_address_may_end_in_v1_or_a_slash() {
        for uri in ["http://h/iceberg", "http://h/iceberg/", "http://h/iceberg/v1", "http://h/iceberg/v1/"] {
            assert_eq!(Rest::base_of(uri), "http://h/iceberg/v1");
        }
    }

    #[test]
    fn names_are_percent_encoded_as_one_segment() {
        assert_eq!(
            encoded("arn:aws:s3tables:us-east-1:1:bucket/b"),
            "arn%3Aaws%3As3tables%3Aus-east-1%3A1%3Abucket%2Fb"
        );
        assert_eq!(encoded("a\u{1f}../b"), "a%1F..%2Fb");
        assert_eq!(encoded(".."), "%2E%2E");
    }
}
