//! The query protocol: a form goes in, XML comes out. S3's errors are XML, too.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use percent_encoding::percent_decode;

use crate::{AwsError, Caller, QueryService};

/// The parameters of a request, from its query and its form body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    path: String,
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads `name=value` pairs; the later of two equal names wins, as it does on AWS.
    pub fn parse(urlencoded: &[u8]) -> Self {
        let pairs = urlencoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let fields = pairs.map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(equals + 1..).unwrap_or_default();
            (decode(&pair[..equals]), decode(value))
        });
        Self { path: String::new(), fields: fields.collect() }
    }

    /// The path that the form was sent to. SQS has a queue's name in it.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The form of a request: query and body together.
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> Self {
        let mut form = Self::parse(parts.uri.query().unwrap_or_default().as_bytes());
        form.path = parts.uri.path().to_owned();
        form.fields.extend(Self::parse(body).fields);
        form
    }
}

fn decode(urlencoded: &[u8]) -> String {
    let spaced: Vec<u8> = urlencoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// Calls the action that the form names.
pub(crate) async fn call(
    service: &dyn QueryService,
    caller: &Caller,
    form: &Form,
) -> Result<Response<Bytes>, AwsError> {
    let Some(action) = form.get("Action") else {
        return Err(AwsError::bad_request("MissingAction", "The request must contain the parameter Action"));
    };
    if let Some(version) = form.get("Version").filter(|version| *version != service.version()) {
        let message = format!("Could not find operation {action} for version {version}");
        return Err(AwsError::bad_request("InvalidAction", message));
    }
    let result = service.call(caller, action, form).await?;
    let (namespace, request_id) = (service.xml_namespace(), &caller.request_id);
    // A service answers only to names that it knows, so `action` is safe to stand in markup.
    let body = format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    Ok(xml(StatusCode::OK, "text/xml", body))
}

/// An error as query services answer it.
pub(crate) fn error(xml_namespace: Option<&str>, error: &AwsError, request_id: &str) -> Response<Bytes> {
    let xmlns = xml_namespace.map(|namespace| format!(" xmlns=\"{namespace}\"")).unwrap_or_default();
    let (code, message) = (xml_text(error.query_code.unwrap_or(&error.code)), xml_text(&error.message));
    let fault = fault(error);
    let body = format!(
        "<ErrorResponse{xmlns}><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>"
    );
    xml(error.status, "text/xml", body)
}

/// Whose fault an error is.
pub(crate) fn fault(error: &AwsError) -> &'static str {
    if error.status.is_server_error() { "Receiver" } else { "Sender" }
}

/// An error as S3 answers it.
pub(crate) fn s3_error(error: &AwsError, request_id: &str) -> Response<Bytes> {
    let (code, message) = (xml_text(&error.code), xml_text(&error.message));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
    );
    xml(error.status, "application/xml", body)
}

/// Escapes `text` to stand between tags or in an attribute. Characters that XML cannot hold become `U+FFFD`.
pub fn xml_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character if character < ' ' => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

fn xml(status: StatusCode, content_type: &str, body: String) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(body.into())
        .expect("the parts of a response are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_once() {
        let form = Form::parse(b"Action=Get%2BIt&Empty=&Flag&Name=a+b%20c%253D");
        assert_eq!(form.get("Action"), Some("Get+It"));
        assert_eq!(form.get("Empty"), Some(""));
        assert_eq!(form.get("Flag"), Some(""));
        assert_eq!(form.get("Name"), Some("a b c%3D"));
        assert_eq!(form.get("Absent"), None);
    }

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(xml_text("</Code>&\"\u{1}ü"), "&lt;/Code&gt;&amp;&quot;\u{fffd}ü");
    }
}
