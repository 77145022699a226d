//! What a service behind the gateway looks like: one trait per family of protocols.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

use crate::{AwsError, Caller, EventStream, Form};

/// A response body that may be streamed.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonVersion {
    V1_0,
    V1_1,
}

/// A service of AWS's JSON protocols: told apart by `X-Amz-Target: <prefix>.<Operation>`.
#[async_trait]
pub trait JsonService: Send + Sync {
    /// What stands before the dot in `X-Amz-Target`: `DynamoDB_20120810`.
    fn target_prefix(&self) -> &'static str;

    fn json_version(&self) -> JsonVersion;

    /// What stands before `#` in the `__type` of an error, unless the error names its own.
    fn error_namespace(&self) -> Option<&'static str> {
        None
    }

    /// Answers one operation. An unknown one is `UnknownOperationException`, which names it.
    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError>;

    /// Answers an operation whose answer is a stream of events. `None` for all others, which is the case for most
    /// services.
    async fn subscribe(&self, _: &Caller, _operation: &str, _body: &Bytes) -> Result<Option<EventStream>, AwsError> {
        Ok(None)
    }
}

/// A service told apart by method and path: restJson1 services and the Iceberg REST catalog.
///
/// The path arrives raw, as percent-encoded as it was sent. The service renders its own errors, since restJson1 and
/// Iceberg differ in that.
#[async_trait]
pub trait RestService: Send + Sync {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes>;
}

/// A service of the query protocol, form in and XML out: STS, IAM.
#[async_trait]
pub trait QueryService: Send + Sync {
    /// The `Version` that clients send along: `2011-06-15`. It tells services apart where nothing is signed.
    fn version(&self) -> &'static str;

    /// The `xmlns` of answers: `https://sts.amazonaws.com/doc/2011-06-15/`.
    fn xml_namespace(&self) -> &'static str;

    /// Answers one action with the XML that stands inside `<{action}Result>`. An unknown action is `InvalidAction`.
    async fn call(&self, caller: &Caller, action: &str, form: &Form) -> Result<String, AwsError>;
}

/// A service whose bodies are streams and which authenticates by itself: S3.
///
/// Where the gateway takes any key ([`crate::Authentication::Dev`]), the request carries the [`Caller`] that it named
/// as an extension.
#[async_trait]
pub trait StreamingService: Send + Sync {
    async fn call(&self, request: Request<hyper::body::Incoming>) -> Response<Body>;
}
