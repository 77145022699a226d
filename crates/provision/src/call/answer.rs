//! What a service answered when it refused, whatever its protocol; and elements of XML.

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use super::{About, Service};
use crate::error::Refusal;

pub fn refusal(about: About<'_>, response: &Response<Bytes>) -> Refusal {
    let body = String::from_utf8_lossy(response.body());
    let (code, message) = match about.service {
        Service::S3 | Service::Iam | Service::Sts => (xml_element(&body, "Code"), xml_element(&body, "Message")),
        _ => of_json(response, &body),
    };
    let status = response.status();
    Refusal {
        action: about.iam_action(),
        resource: about.resource.to_owned(),
        status: status.as_u16(),
        // A HEAD has no body: its status is all there is.
        code: code.unwrap_or_else(|| match status.as_u16() {
            404 => "NotFound".to_owned(),
            403 => "AccessDenied".to_owned(),
            _ => status.to_string(),
        }),
        message: message.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned()),
    }
}

/// Whether the same call may succeed a moment later.
pub fn may_heal(refusal: &Refusal) -> bool {
    let is_throttled = refusal.status == 429
        || ["Throttl", "TooManyRequests", "SlowDown", "LimitExceeded"].iter().any(|word| refusal.code.contains(word));
    is_throttled || (refusal.status >= 500 && refusal.status != 501)
}

fn of_json(response: &Response<Bytes>, body: &str) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let of_header = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let code = body["__type"].as_str().or(of_header).or(body["code"].as_str());
    // `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`, `NotFoundException:http://…`
    let bare = |code: &str| code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code).to_owned();
    let message = body["message"].as_str().or(body["Message"].as_str());
    (code.map(bare), message.map(str::to_owned))
}

/// The text of the first element of this name.
pub fn xml_element(xml: &str, name: &str) -> Option<String> {
    xml_elements(xml, name).into_iter().next()
}

/// The texts of all elements of this name, whatever they are in.
pub fn xml_elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let texts = xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    texts.map(|(text, _)| unescape(text)).collect()
}

fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Text as it stands in an element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(service: Service) -> About<'static> {
        About { service, action: "CreateTable", resource: "arn:aws:dynamodb:us-east-1:0:table/t" }
    }

    #[test]
    fn the_code_of_an_error_is_found_in_every_protocol() {
        let answer = |status: u16, body: &str| Response::builder().status(status).body(Bytes::from(body.to_owned()));
        let json = answer(400, r#"{"__type":"com.amazonaws.dynamodb#ResourceInUseException","message":"there"}"#);
        let refused = refusal(about(Service::DynamoDb), &json.unwrap());
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("ResourceInUseException", "there"));
        assert_eq!(refused.action, "dynamodb:CreateTable");
        let xml = answer(404, "<Error><Code>NoSuchBucket</Code><Message>a &amp; b</Message></Error>");
        let refused = refusal(about(Service::S3), &xml.unwrap());
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("NoSuchBucket", "a & b"));
        let head = refusal(about(Service::S3), &answer(403, "").unwrap());
        assert!(head.is_denied() && !may_heal(&head));
        assert!(may_heal(&refusal(about(Service::S3), &answer(503, "<Code>SlowDown</Code>").unwrap())));
    }
}
