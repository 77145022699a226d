//! Consumers that are registered with a stream, and what an ARN names: a stream or one of its consumers.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_wire::AwsError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{check_name, invalid_argument, limit_exceeded, not_found, resource_in_use, within};
use super::settings::change;
use super::stream::{Consumer, Stream};
use super::tags::check_tags;
use super::{Named, answer, millis, nothing, timestamp};
use crate::region::Region;

const CONSUMERS_MAX: usize = 20;
const LIST_DEFAULT: i64 = 100;
const LIST_MAX: i64 = 10_000;

/// What tags and policies belong to.
pub(super) enum Resource {
    Stream(Arc<Stream>),
    Consumer(Arc<Stream>, String),
}

/// The parts of a resource that it has in common with others.
pub(super) struct Parts<'a> {
    pub tags: &'a mut BTreeMap<String, String>,
    pub policy: &'a mut Option<String>,
}

impl Resource {
    pub(super) fn find(region: &Region, arn: &str) -> Result<Self, AwsError> {
        match arn.split_once("/consumer/") {
            None => Named::new(None, Some(arn.to_owned())).find(region).map(Self::Stream),
            Some((stream_arn, consumer)) => {
                let stream = Named::new(None, Some(stream_arn.to_owned())).find(region)?;
                let name = consumer_of_arn(&stream, consumer).ok_or_else(|| consumer_not_found(arn))?;
                Ok(Self::Consumer(stream, name))
            }
        }
    }

    pub(super) fn tags(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Stream(stream) => &stream.settings.tags,
            Self::Consumer(stream, name) => &stream.consumers[name].tags,
        }
    }

    pub(super) fn policy(&self) -> Option<&str> {
        match self {
            Self::Stream(stream) => stream.settings.policy.as_deref(),
            Self::Consumer(stream, name) => stream.consumers[name].policy.as_deref(),
        }
    }

    pub(super) async fn change(
        &self,
        region: &Arc<Region>,
        edit: impl FnOnce(Parts<'_>) -> Result<(), AwsError> + Send + 'static,
    ) -> Result<(), AwsError> {
        match self {
            Self::Stream(stream) => {
                change(region, stream, move |stream| {
                    let settings = &mut stream.settings;
                    edit(Parts { tags: &mut settings.tags, policy: &mut settings.policy })
                })
                .await
            }
            Self::Consumer(stream, name) => {
                let name = name.clone();
                change(region, stream, move |stream| {
                    let consumer = stream.consumers.get_mut(&name).ok_or_else(|| consumer_not_found(&name))?;
                    edit(Parts { tags: &mut consumer.tags, policy: &mut consumer.policy })
                })
                .await
            }
        }
    }
}

/// The stream and the name of a consumer's ARN.
pub(super) fn find_consumer(region: &Region, arn: &str) -> Result<(Arc<Stream>, String), AwsError> {
    match Resource::find(region, arn)? {
        Resource::Consumer(stream, name) => Ok((stream, name)),
        Resource::Stream(_) => Err(invalid_argument(format!("Invalid ConsumerARN: {arn}"))),
    }
}

/// The consumer that `name:creation time` names, the last part of its ARN.
fn consumer_of_arn(stream: &Stream, text: &str) -> Option<String> {
    let (name, created) = text.split_once(':')?;
    let consumer = stream.consumers.get(name)?;
    (created.parse() == Ok(consumer.created_ms / 1000)).then(|| name.to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Register {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    consumer_name: String,
    tags: Option<BTreeMap<String, String>>,
}

pub(super) async fn register(region: &Arc<Region>, request: Register) -> Result<Bytes, AwsError> {
    check_name("consumerName", &request.consumer_name)?;
    let tags = request.tags.unwrap_or_default();
    check_tags(&tags)?;
    let stream = Named::new(None, Some(request.stream_arn)).find(region)?;
    let consumer = Consumer { created_ms: region.ambient.now_ms(), policy: None, tags };
    let (name, registered) = (request.consumer_name.clone(), consumer.clone());
    change(region, &stream, move |stream| {
        if stream.consumers.contains_key(&name) {
            return Err(resource_in_use(format!("Consumer {name} of stream {} already exists.", stream.name)));
        }
        if stream.consumers.len() >= CONSUMERS_MAX {
            return Err(limit_exceeded(format!("Stream {} has {CONSUMERS_MAX} consumers already.", stream.name)));
        }
        stream.consumers.insert(name, registered);
        Ok(())
    })
    .await?;
    Ok(answer(&json!({"Consumer": describe_consumer(region, &stream, &request.consumer_name, &consumer)})))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OfConsumer {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

impl OfConsumer {
    fn find(&self, region: &Region) -> Result<(Arc<Stream>, String), AwsError> {
        match (&self.consumer_arn, &self.stream_arn, &self.consumer_name) {
            (Some(arn), None, None) => find_consumer(region, arn),
            (None, Some(arn), Some(name)) => {
                let stream = Named::new(None, Some(arn.clone())).find(region)?;
                match stream.consumers.contains_key(name) {
                    true => Ok((stream, name.clone())),
                    false => Err(consumer_not_found(name)),
                }
            }
            _ => Err(invalid_argument("Either ConsumerARN, or StreamARN and ConsumerName must be given")),
        }
    }
}

pub(super) async fn deregister(region: &Arc<Region>, request: OfConsumer) -> Result<Bytes, AwsError> {
    let (stream, name) = request.find(region)?;
    change(region, &stream, move |stream| {
        stream.consumers.remove(&name);
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(super) fn describe(region: &Arc<Region>, request: OfConsumer) -> Result<Bytes, AwsError> {
    let (stream, name) = request.find(region)?;
    let mut description = describe_consumer(region, &stream, &name, &stream.consumers[&name]);
    description["StreamARN"] = stream.arn(&region.account, &region.name).into();
    Ok(answer(&json!({"ConsumerDescription": description})))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    next_token: Option<String>,
    max_results: Option<i64>,
    stream_creation_timestamp: Option<f64>,
}

pub(super) fn list(region: &Arc<Region>, request: List) -> Result<Bytes, AwsError> {
    let limit = within("maxResults", request.max_results.unwrap_or(LIST_DEFAULT), 1, LIST_MAX)? as usize;
    let stream = Named::new(None, Some(request.stream_arn)).find(region)?;
    if request.stream_creation_timestamp.is_some_and(|made| millis(made) / 1000 != stream.created_ms / 1000) {
        return Err(not_found(format!("Stream {} was not made at that time", stream.name)));
    }
    // The token is the name of the last consumer that was listed.
    let start = match &request.next_token {
        Some(token) => URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        None => Some(String::new()),
    };
    let start = start.ok_or_else(|| invalid_argument("NextToken is invalid."))?;
    let consumers: Vec<_> = stream.consumers.iter().filter(|(name, _)| **name > start).collect();
    let page = &consumers[..consumers.len().min(limit)];
    let describe = |(name, consumer): &(&String, &Consumer)| describe_consumer(region, &stream, name, consumer);
    let mut listing = json!({"Consumers": page.iter().map(describe).collect::<Vec<Value>>()});
    if let Some((last, _)) = page.last().filter(|_| consumers.len() > limit) {
        listing["NextToken"] = URL_SAFE_NO_PAD.encode(last).into();
    }
    Ok(answer(&listing))
}

fn describe_consumer(region: &Region, stream: &Stream, name: &str, consumer: &Consumer) -> Value {
    let arn = stream.arn(&region.account, &region.name);
    json!({
        "ConsumerName": name,
        "ConsumerARN": format!("{arn}/consumer/{name}:{}", consumer.created_ms / 1000),
        "ConsumerStatus": "ACTIVE",
        "ConsumerCreationTimestamp": timestamp(consumer.created_ms),
    })
}

fn consumer_not_found(consumer: &str) -> AwsError {
    not_found(format!("Consumer {consumer} not found."))
}
