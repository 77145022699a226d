//! From a form to the request of the JSON protocol.

use aws_wire::{AwsError, Form};
use serde_json::{Map, Value};

/// How a member of a request stands in a form.
enum Member {
    Text(&'static str),
    Number(&'static str),
    /// `Prefix.1=…`, for a list of texts.
    Texts {
        name: &'static str,
        prefix: &'static str,
    },
    /// `Prefix.1.Name=…&Prefix.1.Value=…`, for a map of texts.
    Map {
        name: &'static str,
        prefix: &'static str,
        key: &'static str,
    },
    /// `Prefix.1.Name=…&Prefix.1.Value.DataType=…`, for message attributes.
    Attributes {
        name: &'static str,
        prefix: &'static str,
    },
}

use Member::{Attributes, Map as Pairs, Number, Text, Texts};

/// Members of the messages that are sent.
const MESSAGE: [Member; 6] = [
    Text("MessageBody"),
    Number("DelaySeconds"),
    Attributes { name: "MessageAttributes", prefix: "MessageAttribute" },
    Attributes { name: "MessageSystemAttributes", prefix: "MessageSystemAttribute" },
    Text("MessageDeduplicationId"),
    Text("MessageGroupId"),
];

/// Members of all requests. No two operations have one of the same name that stands in different ways.
const REQUEST: [Member; 22] = [
    Text("QueueUrl"),
    Text("QueueName"),
    Text("QueueNamePrefix"),
    Text("QueueOwnerAWSAccountId"),
    Text("NextToken"),
    Number("MaxResults"),
    Text("ReceiptHandle"),
    Number("VisibilityTimeout"),
    Number("MaxNumberOfMessages"),
    Number("WaitTimeSeconds"),
    Text("ReceiveRequestAttemptId"),
    Text("Label"),
    Text("SourceArn"),
    Text("DestinationArn"),
    Number("MaxNumberOfMessagesPerSecond"),
    Text("TaskHandle"),
    Texts { name: "AttributeNames", prefix: "AttributeName" },
    Texts { name: "MessageSystemAttributeNames", prefix: "MessageSystemAttributeName" },
    Texts { name: "MessageAttributeNames", prefix: "MessageAttributeName" },
    Texts { name: "AWSAccountIds", prefix: "AWSAccountId" },
    Texts { name: "Actions", prefix: "ActionName" },
    Texts { name: "TagKeys", prefix: "TagKey" },
];

/// Members of batch entries, besides those of messages.
const ENTRY: [Member; 3] = [Text("Id"), Text("ReceiptHandle"), Number("VisibilityTimeout")];

/// The JSON request that a form stands for.
pub(super) fn request(form: &Form, action: &str) -> Result<Map<String, Value>, AwsError> {
    let mut request = Map::new();
    for member in REQUEST.iter().chain(&MESSAGE) {
        member.read(form, "", &mut request)?;
    }
    let attributes = Pairs { name: "Attributes", prefix: "Attribute", key: "Name" };
    attributes.read(form, "", &mut request)?;
    let name = if action == "CreateQueue" { "tags" } else { "Tags" };
    Pairs { name, prefix: "Tag", key: "Key" }.read(form, "", &mut request)?;
    if action.ends_with("Batch") {
        request.insert("Entries".into(), Value::Array(entries(form, action)?));
    }
    Ok(request)
}

fn entries(form: &Form, action: &str) -> Result<Vec<Value>, AwsError> {
    let mut entries = Vec::new();
    loop {
        let prefix = format!("{action}RequestEntry.{}.", entries.len() + 1);
        let mut entry = Map::new();
        for member in ENTRY.iter().chain(&MESSAGE) {
            member.read(form, &prefix, &mut entry)?;
        }
        if entry.is_empty() {
            return Ok(entries);
        }
        entries.push(Value::Object(entry));
    }
}

impl Member {
    fn read(&self, form: &Form, under: &str, request: &mut Map<String, Value>) -> Result<(), AwsError> {
        let text = |name: &str| form.get(&format!("{under}{name}"));
        match self {
            Text(name) => {
                if let Some(value) = text(name) {
                    request.insert((*name).into(), value.into());
                }
            }
            Number(name) => {
                if let Some(value) = text(name) {
                    let number: i64 = value.parse().map_err(|_| not_a_number(name, value))?;
                    request.insert((*name).into(), number.into());
                }
            }
            Texts { name, prefix } => {
                let values: Vec<_> = (1..).map_while(|number| text(&format!("{prefix}.{number}"))).collect();
                if !values.is_empty() {
                    request.insert((*name).into(), values.into());
                }
            }
            Pairs { name, prefix, key } => {
                let pair = |number: u32| {
                    let key = text(&format!("{prefix}.{number}.{key}"))?;
                    let value = text(&format!("{prefix}.{number}.Value")).unwrap_or_default();
                    Some((key.to_owned(), Value::from(value)))
                };
                let pairs: Map<_, _> = (1..).map_while(pair).collect();
                if !pairs.is_empty() {
                    request.insert((*name).into(), Value::Object(pairs));
                }
            }
            Attributes { name, prefix } => {
                let attribute = |number: u32| {
                    let under = format!("{prefix}.{number}");
                    let parts = ["DataType", "StringValue", "BinaryValue"].into_iter().filter_map(|part| {
                        Some((part.to_owned(), Value::from(text(&format!("{under}.Value.{part}"))?)))
                    });
                    Some((text(&format!("{under}.Name"))?.to_owned(), Value::Object(parts.collect())))
                };
                let attributes: Map<_, _> = (1..).map_while(attribute).collect();
                if !attributes.is_empty() {
                    request.insert((*name).into(), Value::Object(attributes));
                }
            }
        }
        Ok(())
    }
}

fn not_a_number(name: &str, value: &str) -> AwsError {
    AwsError::bad_request("MalformedInput", format!("{name} is not a number: {value}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_becomes_the_request_of_today() {
        let form = Form::parse(
            b"QueueUrl=http://h/1/q&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x\
              &SendMessageBatchRequestEntry.1.DelaySeconds=3\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
              &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v\
              &SendMessageBatchRequestEntry.2.Id=b&Attribute.1.Name=DelaySeconds&Attribute.1.Value=1&TagKey.1=t",
        );
        assert_eq!(
            Value::Object(request(&form, "SendMessageBatch").unwrap()),
            json!({
                "QueueUrl": "http://h/1/q",
                "Attributes": { "DelaySeconds": "1" },
                "TagKeys": ["t"],
                "Entries": [
                    { "Id": "a", "MessageBody": "x", "DelaySeconds": 3,
                      "MessageAttributes": { "n": { "DataType": "String", "StringValue": "v" } } },
                    { "Id": "b" },
                ],
            })
        );
    }
}
