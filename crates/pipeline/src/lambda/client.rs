//! Invokes functions of AWS Lambda: the one call of it that a pipeline needs.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use lake::{HttpTransport, Signing, Transport};
use serde::Deserialize;

use super::{Function, Invoked};
use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind, Result};

/// A function runs for a quarter of an hour at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(910);
/// How often a throttled call is made again before the pipeline is told.
const TRIES_MAX: u32 = 6;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A function's name or ARN, with or without a version or an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName(String);

impl FunctionName {
    /// Reads a name, `NAME:ALIAS`, or an ARN; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, qualifier) = match parts[..] {
            ["arn", _, "lambda", region, account_id, "function", name]
                if !region.is_empty() && !account_id.is_empty() =>
            {
                (name, None)
            }
            ["arn", _, "lambda", region, account_id, "function", name, qualifier]
                if !region.is_empty() && !account_id.is_empty() =>
            {
                (name, Some(qualifier))
            }
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return None,
        };
        let is_word = |text: &str, others: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        };
        let is_valid = is_word(name, b"-_") && qualifier.is_none_or(|qualifier| is_word(qualifier, b"-_$"));
        is_valid.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that an ARN names.
    pub fn region(&self) -> Option<&str> {
        self.0.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2))
    }

    /// As one segment of a path.
    fn encoded(&self) -> String {
        self.0.replace(':', "%3A").replace('$', "%24")
    }
}

/// One function, over the network.
pub struct LambdaClient {
    name: FunctionName,
    /// Without a trailing slash.
    endpoint: String,
    transport: Arc<dyn Transport>,
    ambient: Ambient,
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(alias = "Message")]
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct FunctionError {
    error_type: Option<String>,
    error_message: Option<String>,
}

impl LambdaClient {
    /// `endpoint` is `https://lambda.us-east-1.amazonaws.com`, or what stands in for it.
    pub fn new(name: FunctionName, endpoint: String, signing: Signing, ambient: Ambient) -> Result<Self> {
        let transport = HttpTransport::answering_within(ANSWER_TIMEOUT, Some(signing), ambient.clone())
            .map_err(|error| Error::new(ErrorKind::Unexpected, "make a client of Lambda").with_source(error))?;
        Ok(Self { name, endpoint, transport: Arc::new(transport), ambient })
    }

    /// Looks whether the function is there. `Misconfigured` where it is not.
    pub async fn look(&self) -> Result<()> {
        self.ask(Method::GET, "configuration", Bytes::new()).await.map(|_| ())
    }

    /// Makes a call, again where it is throttled.
    async fn ask(&self, method: Method, what: &str, body: Bytes) -> Result<Response<Bytes>> {
        let mut backoff = Backoff::new(self.ambient.clone(), PAUSE_MIN, PAUSE_MAX);
        loop {
            let failed = match self.ask_once(method.clone(), what, body.clone()).await {
                Err(error) if error.kind() == ErrorKind::Transient => error,
                outcome => return outcome,
            };
            let pause = backoff.fail();
            if backoff.failures() >= TRIES_MAX {
                return Err(failed);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask_once(&self, method: Method, what: &str, body: Bytes) -> Result<Response<Bytes>> {
        let name = self.name.as_str();
        let uri = format!("{}/2015-03-31/functions/{}/{what}", self.endpoint, self.name.encoded());
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json").body(body);
        let request = request.map_err(|error| {
            Error::new(ErrorKind::Misconfigured, format!("call function {name}")).with_source(error)
        })?;
        // An invocation that is repeated is harmless: a record that is transformed twice is the same record.
        let answer = self.transport.send(request).await.map_err(|error| {
            Error::new(ErrorKind::Transient, format!("call function {name}")).with_source(error.into_error())
        })?;
        let status = answer.status();
        if status.is_success() || status == StatusCode::PAYLOAD_TOO_LARGE {
            return Ok(answer);
        }
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorKind::Transient,
            status if status.is_server_error() => ErrorKind::Transient,
            _ => ErrorKind::Misconfigured,
        };
        let refusal: Refusal = serde_json::from_slice(answer.body()).unwrap_or_default();
        let reason = refusal.message.unwrap_or_else(|| status.to_string());
        let advice = match status {
            StatusCode::NOT_FOUND => ". Try: create the function, or correct `[transform] lambda`",
            StatusCode::FORBIDDEN => ". Try: a policy that allows lambda:InvokeFunction",
            _ => "",
        };
        Err(Error::new(kind, format!("call function {name}: {reason}{advice}")))
    }
}

#[async_trait]
impl Function for LambdaClient {
    async fn invoke(&self, event: Bytes) -> Result<Invoked> {
        let answer = self.ask(Method::POST, "invocations", event).await?;
        if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Ok(Invoked::Failed("the event is larger than Lambda takes".to_owned()));
        }
        if answer.headers().contains_key("x-amz-function-error") {
            // The message may hold values of items, so only the error's type is told.
            let error: FunctionError = serde_json::from_slice(answer.body()).unwrap_or_default();
            let timed_out = error.error_message.is_some_and(|message| message.contains("Task timed out"));
            let kind = error.error_type.unwrap_or_else(|| "an error without a type".to_owned());
            let reason = if timed_out { "it takes longer than its timeout" } else { kind.as_str() };
            return Ok(Invoked::Failed(format!("the function fails: {reason}")));
        }
        Ok(Invoked::Answered(answer.into_body()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_name_or_arn() {
        let arn = "arn:aws:lambda:eu-west-1:000000000000:function:clean";
        for (text, region) in [("clean", None), ("clean:live", None), (arn, Some("eu-west-1"))] {
            assert_eq!(FunctionName::parse(text).unwrap().region(), region, "{text}");
        }
        assert_eq!(FunctionName::parse(arn).unwrap().encoded(), arn.replace(':', "%3A"));
        for text in ["", "a b", "a/b", "a:b:c", "arn:aws:sqs:eu-west-1:000000000000:q", "a:"] {
            assert_eq!(FunctionName::parse(text), None, "{text}");
        }
    }
}
