//! Looking at a DynamoDB table before reading it: its key, its stream, a sample of its items.

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{KeyType as KeyRole, ScalarAttributeType, StreamViewType, TableDescription};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::infer::{KeyAttribute, KeyType};
use crate::raw_answer::RawAnswer;

/// Pages of a sample: each is at most 1 MB of items.
const SAMPLE_PAGES_MAX: usize = 16;

/// A DynamoDB table with a stream that can be mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    pub name: String,
    /// Partition key first.
    pub keys: Vec<KeyAttribute>,
    /// The ARN of its stream, with the label.
    pub stream: String,
}

/// Describes `table`, by name or ARN. `Misconfigured` where it does not exist, or its stream lacks the new images.
pub async fn find_table(config: &SdkConfig, table: &str) -> Result<SourceTable> {
    let description = describe(config, table).await?;
    Ok(SourceTable {
        name: description.table_name().unwrap_or(table).to_owned(),
        stream: stream(&description, table)?,
        keys: keys(&description),
    })
}

/// The table's name and its key attributes, whatever its stream.
pub async fn find_keys(config: &SdkConfig, table: &str) -> Result<(String, Vec<KeyAttribute>)> {
    let description = describe(config, table).await?;
    Ok((description.table_name().unwrap_or(table).to_owned(), keys(&description)))
}

async fn describe(config: &SdkConfig, table: &str) -> Result<TableDescription> {
    let output = Client::new(config).describe_table().table_name(table).send().await;
    let description = output.map_err(|error| describe_error(error, table))?.table;
    description.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("describe table {table}: an empty answer")))
}

/// Up to about `items_max` items, as DynamoDB JSON.
pub async fn sample_items(config: &SdkConfig, table: &str, items_max: usize) -> Result<Vec<serde_json::Value>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        #[serde(default)]
        items: Vec<serde_json::Value>,
        last_evaluated_key: Option<serde_json::Map<String, serde_json::Value>>,
    }

    let client = Client::new(config);
    let mut items = Vec::new();
    let mut after = None;
    for _ in 0..SAMPLE_PAGES_MAX {
        let answer = RawAnswer::default();
        let limit = (items_max - items.len()).try_into().unwrap_or(i32::MAX);
        let request = client.scan().table_name(table).limit(limit).set_exclusive_start_key(after);
        let sent = request.customize().interceptor(answer.clone()).send().await;
        sent.map_err(|error| describe_error(error, table))?;
        let doing = || format!("sample the items of table {table}");
        let body = answer.read().await.map_err(|error| Error::new(ErrorKind::Transient, doing()).with_source(error))?;
        let page: Page = serde_json::from_slice(&body)
            .map_err(|error| Error::new(ErrorKind::Unexpected, doing()).with_source(error))?;
        items.extend(page.items);
        after = page.last_evaluated_key.map(|key| key.into_iter().filter_map(key_value).collect());
        if after.is_none() || items.len() >= items_max {
            break;
        }
    }
    Ok(items)
}

/// A key attribute of DynamoDB JSON, as the SDK wants it back.
fn key_value((name, value): (String, serde_json::Value)) -> Option<(String, aws_sdk_dynamodb::types::AttributeValue)> {
    use aws_sdk_dynamodb::types::AttributeValue;
    use base64::Engine;

    let (kind, text) = value.as_object()?.iter().next()?;
    let text = text.as_str()?;
    let value = match kind.as_str() {
        "S" => AttributeValue::S(text.to_owned()),
        "N" => AttributeValue::N(text.to_owned()),
        "B" => AttributeValue::B(base64::prelude::BASE64_STANDARD.decode(text).ok()?.into()),
        _ => return None,
    };
    Some((name, value))
}

fn stream(description: &TableDescription, table: &str) -> Result<String> {
    let enable = "enable it with `aws dynamodb update-table --stream-specification \
                  StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES`";
    let misconfigured = |message: String| Error::new(ErrorKind::Misconfigured, message);
    let Some(stream) = description.latest_stream_arn() else {
        return Err(misconfigured(format!("table {table} has no stream. Try: {enable}")));
    };
    let view = description.stream_specification().and_then(|specification| specification.stream_view_type());
    match view {
        // A stream that was disabled has no specification; it is still read to its end.
        None | Some(StreamViewType::NewImage | StreamViewType::NewAndOldImages) => Ok(stream.to_owned()),
        Some(other) => Err(misconfigured(format!(
            "the stream of table {table} holds {other}, which does not tell what an item became. \
             Try: disable it, then {enable}"
        ))),
    }
}

fn keys(description: &TableDescription) -> Vec<KeyAttribute> {
    let type_of = |name: &str| {
        let definitions = description.attribute_definitions().iter();
        let definition = definitions.clone().find(|definition| definition.attribute_name() == name);
        match definition.map(|definition| definition.attribute_type()) {
            Some(ScalarAttributeType::N) => KeyType::N,
            Some(ScalarAttributeType::B) => KeyType::B,
            _ => KeyType::S,
        }
    };
    let mut elements: Vec<_> = description.key_schema().iter().collect();
    elements.sort_by_key(|element| *element.key_type() != KeyRole::Hash);
    let key = |name: &str| KeyAttribute { name: name.to_owned(), key_type: type_of(name) };
    elements.into_iter().map(|element| key(element.attribute_name())).collect()
}

pub(crate) fn describe_error<E, R>(error: SdkError<E, R>, table: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let (kind, message) = match (&error, code.as_str()) {
        (_, "ResourceNotFoundException") => (
            ErrorKind::Misconfigured,
            format!("table {table} does not exist. Try: create it, or correct `[source] table`"),
        ),
        (
            SdkError::ServiceError(_),
            "AccessDeniedException" | "UnrecognizedClientException" | "ValidationException",
        ) => (ErrorKind::Misconfigured, format!("look at table {table}")),
        _ => (ErrorKind::Transient, format!("look at table {table}")),
    };
    Error::new(kind, message).with_source(DisplayErrorContext(error).to_string())
}
