//! What a stack gives to those after it, under the names of the blog's exports.

use serde::Serialize;

use super::{Context, KINESIS_STREAM, RESOURCE_LINK, SOURCE_TABLE, Stack, StreamType};
use crate::call::Services;
use crate::error::Result;
use crate::resource::stream_arn;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    pub name: &'static str,
    pub value: String,
}

/// The outputs of a stack that is there.
pub async fn outputs(stack: Stack, context: &Context, writer: &str, services: &Services) -> Result<Vec<Output>> {
    let output = |name, value| Output { name, value };
    Ok(match stack {
        Stack::Pipeline => {
            let table = services.arn("dynamodb", &format!("table/{SOURCE_TABLE}"));
            let stream = match context.stream_type {
                StreamType::Kinesis => {
                    output("KinesisStreamARN", services.arn("kinesis", &format!("stream/{KINESIS_STREAM}")))
                }
                StreamType::DynamoDb => {
                    output("DynamoDBTableStreamARN", stream_arn(services, SOURCE_TABLE).await?.unwrap_or_default())
                }
            };
            vec![output("DynamoDBTableName", SOURCE_TABLE.to_owned()), output("DynamoDBTableARN", table), stream]
        }
        Stack::LakeFormation => vec![
            output("FirehoseRoleARN", writer.to_owned()),
            // The blog's export is called an ARN and holds a name.
            output("ResourceLinkARN", RESOURCE_LINK.to_owned()),
            output("FailedDeliveryBucketARN", format!("arn:aws:s3:::{}", context.bucket_name)),
        ],
        // What delivers is a pipeline of ours.
        Stack::Firehose => vec![output("PipelineName", context.table_name.clone())],
    })
}

/// The export that is missing where the resource of this kind is: what a later stack would import.
pub fn export_of(kind: &str) -> &'static str {
    match kind {
        "dynamodb stream" => "DynamoDBTableStreamARN",
        "kinesis stream" | "kinesis destination" => "KinesisStreamARN",
        "bucket" => "FailedDeliveryBucketARN",
        "resource link" => "ResourceLinkARN",
        "grant" | "administrator" => "FirehoseRoleARN",
        _ => "DynamoDBTableName",
    }
}
