//! Calls to services that this binary asks too rarely to carry their SDKs: JSON there, JSON back.

use lake::Signing;
use serde_json::Value;

use super::{Aws, signed};
use crate::failure::{Exit, Failure, Outcome, with_causes};

/// A service of AWS, as it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// In host names and credential scopes.
    name: &'static str,
    /// The variable `AWS_ENDPOINT_URL_<…>` and the name in profiles.
    environment: &'static str,
    /// What stands before the dot of `X-Amz-Target`, and the version of the JSON protocol.
    target: Option<(&'static str, &'static str)>,
}

impl Api {
    pub const ATHENA: Self = Self::json("athena", "ATHENA", "AmazonAthena", "1.1");
    pub const CLOUDWATCH: Self = Self::json("monitoring", "CLOUDWATCH", "GraniteServiceVersion20100801", "1.0");
    pub const DYNAMODB: Self = Self::json("dynamodb", "DYNAMODB", "DynamoDB_20120810", "1.0");
    pub const FIREHOSE: Self = Self::json("firehose", "FIREHOSE", "Firehose_20150804", "1.1");
    pub const KINESIS: Self = Self::json("kinesis", "KINESIS", "Kinesis_20131202", "1.1");
    pub const LAKE_FORMATION: Self = Self { name: "lakeformation", environment: "LAKEFORMATION", target: None };
    pub const LAMBDA: Self = Self { name: "lambda", environment: "LAMBDA", target: None };

    const fn json(name: &'static str, environment: &'static str, prefix: &'static str, version: &'static str) -> Self {
        Self { name, environment, target: Some((prefix, version)) }
    }
}

impl Aws {
    /// Calls an operation of a JSON service, or POSTs to a path of that name.
    pub async fn call(&self, api: Api, operation: &str, body: Value) -> Outcome<Value> {
        let Some((prefix, version)) = api.target else {
            return self.ask(api, http::Method::POST, operation, Some(body)).await;
        };
        let request = http::Request::builder()
            .header("content-type", format!("application/x-amz-json-{version}"))
            .header("x-amz-target", format!("{prefix}.{operation}"));
        self.answer(api, operation, request.method("POST").uri(self.url(api, "")), body.to_string().into_bytes()).await
    }

    /// GETs a path of a REST service.
    pub async fn look_up(&self, api: Api, path: &str) -> Outcome<Value> {
        self.ask(api, http::Method::GET, path, None).await
    }

    async fn ask(&self, api: Api, method: http::Method, path: &str, body: Option<Value>) -> Outcome<Value> {
        let request = http::Request::builder().method(method).uri(self.url(api, path));
        let request = if body.is_some() { request.header("content-type", "application/json") } else { request };
        self.answer(api, path, request, body.map(|body| body.to_string().into_bytes()).unwrap_or_default()).await
    }

    async fn answer(&self, api: Api, doing: &str, request: http::request::Builder, body: Vec<u8>) -> Outcome<Value> {
        let failed = |error: &(dyn std::error::Error + 'static)| Failure::caused_by(Exit::Configuration, error);
        let signing = Signing { service: api.name.to_owned(), ..self.signing(&self.region())? };
        let request = request.body(body).map_err(|error| failed(&error))?;
        let response = signed::send_request(&signing, &self.ambient, request).await?;
        let status = response.status();
        let text = response.text().await.map_err(|error| {
            Failure::new(Exit::Service, format!("read the answer to {} {doing}: {}", api.name, with_causes(&error)))
        })?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let kind = answer["__type"].as_str().map_or("", |kind| kind.rsplit('#').next().unwrap_or(kind));
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or(text.trim());
        Err(Failure::new(Exit::Service, format!("{} {doing}: {status} {kind} {message}", api.name)))
    }

    fn url(&self, api: Api, path: &str) -> String {
        let own = self.service_endpoint(api.environment, api.name);
        let endpoint = own.unwrap_or_else(|| format!("https://{}.{}.amazonaws.com", api.name, self.region()));
        format!("{endpoint}/{path}")
    }
}
