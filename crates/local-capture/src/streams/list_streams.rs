//! ListStreams: the streams of the region, also disabled ones that are still readable.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{drain_error, page_limit, parts_of};
use crate::region::Region;
use crate::shard_log::stream::Stream;

const STREAMS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    table_name: Option<String>,
    limit: Option<i64>,
    exclusive_start_stream_arn: Option<String>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    let limit = page_limit(request.limit, STREAMS_MAX)?;
    let start = match &request.exclusive_start_stream_arn {
        Some(arn) => parts_of(region, arn)?,
        None => None,
    };
    // Retention is a matter of time too, and a stream that is past it must not be listed.
    region.drain().await.map_err(drain_error)?;

    let catalog = region.log.catalog();
    let is_wanted = |stream: &&Stream| {
        request.table_name.as_ref().is_none_or(|name| *name == stream.table_name)
            && start.is_none_or(|start| (stream.table_name.as_str(), stream.label.as_str()) > start)
    };
    let mut streams: Vec<&Stream> = catalog.streams.values().map(|stream| &**stream).filter(is_wanted).collect();
    streams.sort_unstable_by_key(|stream| (&stream.table_name, &stream.label));
    let has_more = streams.len() > limit;
    streams.truncate(limit);
    let mut answer = json!({"Streams": streams.iter().map(|stream| describe(region, stream)).collect::<Vec<Value>>()});
    if let Some(last) = streams.last().filter(|_| has_more) {
        answer["LastEvaluatedStreamArn"] = last.arn(&region.account, &region.name).into();
    }
    Ok(Bytes::from(answer.to_string()))
}

fn describe(region: &Region, stream: &Stream) -> Value {
    json!({
        "StreamArn": stream.arn(&region.account, &region.name),
        "TableName": stream.table_name,
        "StreamLabel": stream.label,
    })
}
