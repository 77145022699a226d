//! From an answer of the JSON protocol to XML.

use aws_wire::xml_text;
use serde_json::{Map, Value};

/// The elements inside `<{action}Result>`.
pub(super) fn to_xml(action: &str, answer: &Value) -> String {
    let mut xml = String::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        add(&mut xml, action, name, value);
    }
    xml
}

fn add(xml: &mut String, action: &str, name: &str, value: &Value) {
    match (name, value) {
        (_, Value::Array(items)) => {
            let name = item_name(action, name);
            items.iter().for_each(|item| add(xml, action, &name, item));
        }
        ("Attributes", Value::Object(members)) => pairs(xml, action, "Attribute", "Name", members),
        ("MessageAttributes", Value::Object(members)) => pairs(xml, action, "MessageAttribute", "Name", members),
        ("Tags", Value::Object(members)) => pairs(xml, action, "Tag", "Key", members),
        (_, Value::Object(members)) => {
            let mut inner = String::new();
            members.iter().for_each(|(name, value)| add(&mut inner, action, name, value));
            element(xml, name, &inner);
        }
        (_, Value::String(text)) => element(xml, name, &body_text(text)),
        (_, other) => element(xml, name, &other.to_string()),
    }
}

/// What one item of a list is called.
fn item_name(action: &str, list: &str) -> String {
    match list {
        "QueueUrls" | "queueUrls" => "QueueUrl".into(),
        "Messages" => "Message".into(),
        "Results" => "ListMessageMoveTasksResultEntry".into(),
        "Successful" => format!("{action}ResultEntry"),
        "Failed" => "BatchResultErrorEntry".into(),
        other => other.to_owned(),
    }
}

fn pairs(xml: &mut String, action: &str, name: &str, key: &str, members: &Map<String, Value>) {
    for (member, value) in members {
        let mut inner = String::new();
        element(&mut inner, key, &xml_text(member));
        add(&mut inner, action, "Value", value);
        element(xml, name, &inner);
    }
}

fn element(xml: &mut String, name: &str, inner: &str) {
    xml.push_str(&format!("<{name}>{inner}</{name}>"));
}

/// A parser of XML would read a carriage return as a line feed, and the digest of the body would be wrong.
fn body_text(text: &str) -> String {
    xml_text(text).replace('\r', "&#13;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_flat_xml() {
        let answer = json!({ "Messages": [{ "Body": "a<\r", "Attributes": { "SenderId": "1" } }] });
        let xml =
            "<Message><Attribute><Name>SenderId</Name><Value>1</Value></Attribute><Body>a&lt;&#13;</Body></Message>";
        assert_eq!(to_xml("ReceiveMessage", &answer), xml);
        let answer = json!({ "Failed": [{ "Id": "x", "SenderFault": true }] });
        let xml = "<BatchResultErrorEntry><Id>x</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>";
        assert_eq!(to_xml("DeleteMessageBatch", &answer), xml);
    }
}
