//! One signed call of an AWS service, and what it answered.
//!
//! The protocols differ in where an operation's name and an error's code stand; [`Services`] hides that. Every call says
//! which IAM action it is and on which ARN, so that a refusal can name the statement that is missing.

mod answer;
mod service;

pub(crate) use answer::escape;
pub use answer::{xml_element, xml_elements};
pub use service::Service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Ambient;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use lake::{HttpTransport, Signing, Transport};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::fail_point::FailPoint;

/// Where services are, and as whom they are called.
#[derive(Clone)]
pub struct Connection {
    pub region: String,
    pub credentials: SharedCredentialsProvider,
    /// The base URL of a service, without a trailing slash.
    pub endpoint: Arc<dyn Fn(Service) -> String + Send + Sync>,
    pub ambient: Ambient,
    pub fail_point: FailPoint,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    pub arn: String,
}

/// Calls AWS, as one caller, in one region.
pub struct Services {
    connection: Connection,
    pub caller: Caller,
    transports: Mutex<HashMap<Service, Arc<HttpTransport>>>,
}

/// What a call is about.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub service: Service,
    /// The IAM action without its service: `CreateTable`.
    pub action: &'a str,
    /// The ARN that a policy would name.
    pub resource: &'a str,
}

/// How often a call is tried that is throttled or meets a server's error.
const TRIES_MAX: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Operations of S3 that want a checksum of the body beside its signature.
const CHECKSUMMED: [&str; 1] = ["PutBucketPolicy"];

/// What may stand in a path or query as it is, by the rules of signatures.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one segment of a path, or one value of a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

impl Services {
    /// Calls without asking who it is that calls: for what needs no ARN of the caller's account.
    pub fn unidentified(connection: Connection) -> Self {
        let nobody = Caller { account: String::new(), arn: String::new() };
        Self { connection, caller: nobody, transports: Mutex::default() }
    }

    /// Finds out who calls.
    pub async fn connect(connection: Connection) -> Result<Self> {
        let mut services = Self::unidentified(connection);
        let about = About { service: Service::Sts, action: "GetCallerIdentity", resource: "*" };
        let answer = services.query(about, "2011-06-15", &[]).await?;
        let part = |name: &str| answer::xml_element(&answer, name).unwrap_or_default();
        services.caller = Caller { account: part("Account"), arn: part("Arn") };
        Ok(services)
    }

    pub fn region(&self) -> &str {
        &self.connection.region
    }

    pub fn ambient(&self) -> &Ambient {
        &self.connection.ambient
    }

    pub fn fail_point(&self) -> &FailPoint {
        &self.connection.fail_point
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.connection.region, self.caller.account)
    }

    /// An operation of a service of the JSON protocols.
    pub async fn json(&self, about: About<'_>, body: Value) -> Result<Value> {
        let (target, version) = about.service.json_target().expect("a service that speaks JSON is asked so");
        let request = Request::post(format!("{}/", self.endpoint(about.service)))
            .header("content-type", format!("application/x-amz-json-{version}"))
            .header("x-amz-target", format!("{target}.{}", about.action));
        let response = self.send(about, request, Bytes::from(body.to_string())).await?;
        Ok(serde_json::from_slice(response.body()).unwrap_or_default())
    }

    /// An operation of a restJson1 service. `path` begins with a slash and is encoded already.
    pub async fn rest(&self, about: About<'_>, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{}{path}", self.endpoint(about.service));
        let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let response = self.send(about, request, body).await?;
        Ok(serde_json::from_slice(response.body()).unwrap_or_default())
    }

    /// A request to S3, path style: `path` is `/BUCKET`, `/BUCKET/KEY` or `/BUCKET?tagging=`.
    pub async fn s3(&self, about: About<'_>, method: Method, path: &str, body: String) -> Result<String> {
        let url = format!("{}{path}", self.endpoint(Service::S3));
        let mut request = Request::builder().method(method).uri(url).header("content-type", "application/xml");
        if CHECKSUMMED.contains(&about.action) {
            request = request.header("x-amz-checksum-sha256", BASE64_STANDARD.encode(Sha256::digest(&body)));
        }
        let response = self.send(about, request, Bytes::from(body)).await?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    /// An operation of a service of the query protocol: its answer as XML.
    pub async fn query(&self, about: About<'_>, version: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let mut body = format!("Action={}&Version={version}", about.action);
        for (name, value) in parameters {
            body.push_str(&format!("&{name}={}", encode(value)));
        }
        let request = Request::post(format!("{}/", self.endpoint(about.service)))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let response = self.send(about, request, Bytes::from(body)).await?;
        Ok(String::from_utf8_lossy(response.body()).into_owned())
    }

    /// Counts a change that is made by another client than this one.
    pub async fn count_change<T>(&self, change: impl Future<Output = T>) -> T {
        self.connection.fail_point.before_change();
        let changed = change.await;
        self.connection.fail_point.after_change();
        changed
    }

    /// Asks until `is_done`, for what AWS does after it has answered.
    pub async fn until<F>(&self, resource: &str, awaited: &str, mut is_done: impl FnMut() -> F) -> Result<()>
    where
        F: Future<Output = Result<bool>>,
    {
        let mut pause = FIRST_PAUSE / 4;
        for _ in 0..LOOKS_MAX {
            if is_done().await? {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(Error::TooSlow { resource: resource.to_owned(), awaited: awaited.to_owned() })
    }

    fn endpoint(&self, service: Service) -> String {
        (self.connection.endpoint)(service)
    }

    async fn send(&self, about: About<'_>, request: http::request::Builder, body: Bytes) -> Result<Response<Bytes>> {
        let unreadable = |error: http::Error| Error::Unanswered(format!("{}: {error}", about.iam_action()));
        let (parts, ()) = request.body(()).map_err(unreadable)?.into_parts();
        let transport = self.transport(about.service)?;
        if about.is_change() {
            self.connection.fail_point.before_change();
        }
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let response = transport.send(Request::from_parts(parts.clone(), body.clone())).await;
            let response = response.map_err(|error| {
                let url = self.endpoint(about.service);
                Error::Unanswered(format!("reach {url} for {}: {}", about.iam_action(), causes(&error.into_error())))
            })?;
            if response.status().is_success() {
                if about.is_change() {
                    self.connection.fail_point.after_change();
                }
                return Ok(response);
            }
            let refusal = answer::refusal(about, &response);
            if attempt >= TRIES_MAX || !answer::may_heal(&refusal) {
                return Err(Error::Refused(Box::new(refusal)));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    fn transport(&self, service: Service) -> Result<Arc<HttpTransport>> {
        let mut transports = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = transports.get(&service) {
            return Ok(transport.clone());
        }
        let signing = Signing {
            credentials: self.connection.credentials.clone(),
            region: service.signing_region(&self.connection.region),
            service: service.scope().to_owned(),
        };
        let made = HttpTransport::new(Some(signing), self.connection.ambient.clone());
        let made = made.map_err(|error| Error::Unanswered(error.to_string()))?;
        Ok(transports.entry(service).or_insert(Arc::new(made)).clone())
    }
}

/// About two minutes.
const LOOKS_MAX: u32 = 64;
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl About<'_> {
    /// `dynamodb:CreateTable`.
    pub fn iam_action(&self) -> String {
        // S3 has other names for a few operations than IAM has for the rights to call them.
        let action = match (self.service, self.action) {
            (Service::S3, "HeadBucket" | "ListObjectsV2") => "ListBucket",
            (_, action) => action,
        };
        format!("{}:{action}", self.service.id())
    }

    /// Whether the world is another one afterwards.
    fn is_change(&self) -> bool {
        !["Get", "List", "Describe", "Head"].iter().any(|verb| self.action.starts_with(verb))
    }
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
