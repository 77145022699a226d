//! The query protocol that older SDKs speak: a form becomes the JSON request, and the JSON answer becomes XML.
//!
//! Lists are flattened both ways: `Entry.1.Id` in a form, one element an entry in XML.

mod request;
mod xml;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, Form, QueryService};
use serde_json::Value;

use crate::sqs::Sqs;
use request::request;
use xml::to_xml;

#[async_trait]
impl QueryService for Sqs {
    fn version(&self) -> &'static str {
        "2012-11-05"
    }

    fn xml_namespace(&self) -> &'static str {
        "http://queue.amazonaws.com/doc/2012-11-05/"
    }

    async fn call(&self, caller: &Caller, action: &str, form: &Form) -> Result<String, AwsError> {
        let mut request = request(form, action)?;
        // The queue may be named by the address alone.
        if form.path().len() > 1 {
            request.entry("QueueUrl").or_insert_with(|| form.path().into());
        }
        let answer = Sqs::call(self, caller, action, Value::Object(request).to_string().as_bytes()).await?;
        Ok(to_xml(action, &answer))
    }
}
