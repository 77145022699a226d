//! A record before and after a function, as far as the two must agree.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::infer::KeyAttribute;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "eventName")]
    event_name: Option<String>,
    #[serde(borrow)]
    dynamodb: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(borrow)]
    approximate_creation_date_time: Option<&'a RawValue>,
}

/// Whether a record says what an item became. What cannot be read has none, and the decoder says what is wrong with it.
pub(super) fn has_image(json: &[u8]) -> bool {
    parse(json).is_ok_and(|(event_name, change)| event_name != "REMOVE" && change.keys.is_some())
}

/// When the change was made, in milliseconds since the epoch.
pub(super) fn created_ms(json: &[u8]) -> Option<i64> {
    let (_, change) = parse(json).ok()?;
    let time: f64 = serde_json::from_str(change.approximate_creation_date_time?.get()).ok()?;
    // DynamoDB Streams has seconds; Kinesis has milliseconds, or microseconds where the table's stream says so.
    let ms = if time < 1e11 {
        time * 1e3
    } else if time < 1e14 {
        time
    } else {
        time / 1e3
    };
    Some(ms as i64)
}

/// Checks that what a function returned is the same change of the same item; says what is not.
pub(super) fn check(original: &[u8], returned: &[u8]) -> Result<(), String> {
    let (original_name, original) = parse(original).map_err(|_| "the record is not a change record".to_owned())?;
    let (name, change) = parse(returned)
        .map_err(|reason| format!("the data that the function returns is not a change record: {reason}"))?;
    if name != original_name {
        return Err(format!("the function makes {name} of {original_name}"));
    }
    let keys = object(original.keys);
    let returned_keys = object(change.keys);
    if returned_keys != keys {
        return Err("the function changes `dynamodb.Keys`, which identify the item".to_owned());
    }
    let Some(image) = change.new_image.and_then(|image| serde_json::from_str::<Map<String, Value>>(image.get()).ok())
    else {
        return Err("the data that the function returns has no `dynamodb.NewImage`".to_owned());
    };
    match keys.iter().find(|(key, value)| image.get(*key) != Some(value)) {
        Some((key, _)) => Err(format!("the function changes the key attribute `{key}` in `dynamodb.NewImage`")),
        None => Ok(()),
    }
}

/// A record of the item's removal: what is left of one that a function drops.
pub(super) fn keys_only(json: &[u8]) -> Bytes {
    let Ok((_, change)) = parse(json) else { return Bytes::copy_from_slice(json) };
    let keys = change.keys.map_or("{}", RawValue::get);
    let created = change
        .approximate_creation_date_time
        .map_or(String::new(), |created| format!(r#""ApproximateCreationDateTime":{},"#, created.get()));
    format!(r#"{{"eventName":"REMOVE","dynamodb":{{{created}"Keys":{keys}}}}}"#).into()
}

/// The record that inserts an item. Its position is of no shard.
pub(super) fn of_item(keys: &[KeyAttribute], item: &Value, number: u64) -> RawRecord {
    let key = |key: &KeyAttribute| Some((key.name.clone(), item.get(&key.name)?.clone()));
    let keys: Map<String, Value> = keys.iter().filter_map(key).collect();
    let json = json!({
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": { "Keys": keys, "NewImage": item, "SequenceNumber": number.to_string() },
    });
    let sequence_number = SequenceNumber::parse(&number.to_string()).expect("a number is digits");
    let position = Position { shard: ShardId::new("sample"), sequence_number, part: 0 };
    RawRecord { position, json: json.to_string().into() }
}

/// The item that a record inserts.
pub(super) fn new_image(json: &Bytes) -> Option<Value> {
    serde_json::from_slice::<Value>(json).ok()?.get_mut("dynamodb")?.get_mut("NewImage").map(Value::take)
}

fn parse(json: &[u8]) -> Result<(String, Change<'_>), String> {
    let head: Head<'_> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let event_name = head.event_name.ok_or("`eventName` is missing")?;
    let change = head.dynamodb.ok_or("`dynamodb` is missing")?;
    Ok((event_name, serde_json::from_str(change.get()).map_err(|error| error.to_string())?))
}

fn object(json: Option<&RawValue>) -> Map<String, Value> {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = r#"{"eventName":"MODIFY","dynamodb":{"ApproximateCreationDateTime":1.5,
        "Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"},"secret":{"S":"x"}},"SequenceNumber":"7"}}"#;

    #[test]
    fn a_function_may_change_everything_but_whose_change_it_is() {
        let with = |name: &str, key: &str, image: &str| {
            format!(r#"{{"eventName": "{name}", "dynamodb": {{"Keys": {{"id": {key}}}, "NewImage": {image}}}}}"#)
        };
        let (a, b) = (r#"{"S": "a"}"#, r#"{"S": "b"}"#);
        let (image, other) = (r#"{"id": {"S": "a"}, "new": {"N": "1"}}"#, r#"{"id": {"S": "b"}}"#);
        for (returned, expected) in [
            (with("MODIFY", a, image), None),
            (with("INSERT", a, image), Some("makes INSERT of MODIFY")),
            (with("MODIFY", b, image), Some("changes `dynamodb.Keys`")),
            (with("MODIFY", a, other), Some("key attribute `id`")),
            (with("MODIFY", a, "{}"), Some("key attribute `id`")),
            (with("MODIFY", a, "null"), Some("no `dynamodb.NewImage`")),
            ("[]".to_owned(), Some("not a change record")),
            (r#"{"id": "a"}"#.to_owned(), Some("`eventName` is missing")),
        ] {
            let checked = check(ORIGINAL.as_bytes(), returned.as_bytes());
            match expected {
                None => assert_eq!(checked, Ok(()), "{returned}"),
                Some(expected) => {
                    assert!(checked.clone().is_err_and(|reason| reason.contains(expected)), "{checked:?}")
                }
            }
        }
    }

    #[test]
    fn what_is_left_of_a_dropped_record_is_its_key() {
        let left: Value = serde_json::from_slice(&keys_only(ORIGINAL.as_bytes())).unwrap();
        assert_eq!(
            left,
            json!({
                "eventName": "REMOVE",
                "dynamodb": {"ApproximateCreationDateTime": 1.5, "Keys": {"id": {"S": "a"}}},
            })
        );
        assert_eq!(created_ms(ORIGINAL.as_bytes()), Some(1500));
    }
}
