//! Asks the services of a deployment what they are set to. Nothing is changed.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::facts::Facts;
use crate::aws::{Api, Aws};
use crate::failure::{Failure, Outcome};

/// Pages of a listing: more than this is not a listing but a loop.
const PAGES_MAX: usize = 100;

/// Everything but the lake. Fails only where the source table cannot be described.
pub async fn look(aws: &Aws, source: &str) -> Outcome<Facts> {
    let described = aws.call(Api::DYNAMODB, "DescribeTable", json!({ "TableName": source })).await;
    let described = described.map_err(|failure| failure.advise("the name of a DynamoDB table in this region"))?;
    let mut facts = Facts { source: described["Table"].clone(), ..Facts::default() };
    look_at_kinesis(aws, source, &mut facts).await;
    look_at_mappings(aws, &mut facts).await;
    look_at_deliveries(aws, &mut facts).await;
    match aws.call(Api::LAKE_FORMATION, "GetDataLakeSettings", json!({})).await {
        Ok(answer) => facts.settings = Some(answer["DataLakeSettings"].clone()),
        Err(failure) => facts.miss(&["W14"], unseen("the settings of Lake Formation", &failure)),
    }
    match pages(aws, Api::CLOUDWATCH, "DescribeAlarms", "MetricAlarms").await {
        Ok(alarms) => facts.alarms = Some(alarms),
        Err(failure) => facts.miss(&["W16"], unseen("alarms", &failure)),
    }
    Ok(facts)
}

async fn look_at_kinesis(aws: &Aws, source: &str, facts: &mut Facts) {
    let body = json!({ "TableName": source });
    let destinations = match aws.call(Api::DYNAMODB, "DescribeKinesisStreamingDestination", body).await {
        Ok(answer) => answer["KinesisDataStreamDestinations"].as_array().cloned().unwrap_or_default(),
        Err(failure) => return facts.miss(&["W16", "W19"], unseen("Kinesis destinations", &failure)),
    };
    for destination in destinations.iter().filter(|it| it["DestinationStatus"] == "ACTIVE") {
        match aws.call(Api::KINESIS, "DescribeStreamSummary", json!({ "StreamARN": destination["StreamArn"] })).await {
            Ok(answer) => facts.kinesis.push(answer["StreamDescriptionSummary"].clone()),
            Err(failure) => facts.miss(&["W16"], unseen("a Kinesis stream", &failure)),
        }
    }
}

async fn look_at_mappings(aws: &Aws, facts: &mut Facts) {
    let streams = facts.kinesis.iter().filter_map(|stream| stream["StreamARN"].as_str()).map(str::to_owned);
    let sources: Vec<String> = facts.stream_arn().map(str::to_owned).into_iter().chain(streams).collect();
    for source in sources {
        match mappings_of(aws, &source).await {
            Ok(mappings) => facts.mappings.extend(mappings),
            Err(failure) => return facts.miss(&["W7"], unseen("event source mappings", &failure)),
        }
    }
    let mut names: Vec<String> =
        facts.mappings.iter().filter_map(|it| Some(it["FunctionArn"].as_str()?.to_owned())).collect();
    names.dedup();
    for name in names {
        let path = format!("2015-03-31/functions/{}/configuration", utf8_percent_encode(&name, NON_ALPHANUMERIC));
        match aws.look_up(Api::LAMBDA, &path).await {
            Ok(function) => facts.functions.push(function),
            Err(failure) => facts.miss(&["W14"], unseen("a function and its role", &failure)),
        }
    }
}

async fn mappings_of(aws: &Aws, source: &str) -> Outcome<Vec<Value>> {
    let mut path =
        format!("2015-03-31/event-source-mappings?EventSourceArn={}", utf8_percent_encode(source, NON_ALPHANUMERIC));
    let first = path.clone();
    let mut mappings = Vec::new();
    for _ in 0..PAGES_MAX {
        let answer = aws.look_up(Api::LAMBDA, &path).await?;
        mappings.extend(answer["EventSourceMappings"].as_array().into_iter().flatten().cloned());
        let Some(marker) = answer["NextMarker"].as_str() else { break };
        path = format!("{first}&Marker={}", utf8_percent_encode(marker, NON_ALPHANUMERIC));
    }
    Ok(mappings)
}

/// Delivery streams into Iceberg that read one of our Kinesis streams, or are written to directly.
async fn look_at_deliveries(aws: &Aws, facts: &mut Facts) {
    let names = match delivery_names(aws).await {
        Ok(names) => names,
        Err(failure) => return facts.miss(&["W3"], unseen("delivery streams of Data Firehose", &failure)),
    };
    for name in names {
        let described = aws.call(Api::FIREHOSE, "DescribeDeliveryStream", json!({ "DeliveryStreamName": name })).await;
        let delivery = match described {
            Ok(answer) => answer["DeliveryStreamDescription"].clone(),
            Err(failure) => {
                facts.miss(&["W3"], unseen("a delivery stream of Data Firehose", &failure));
                continue;
            }
        };
        let reads = delivery["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"].as_str();
        let is_ours = reads.is_none_or(|arn| facts.kinesis.iter().any(|stream| stream["StreamARN"] == arn));
        if is_ours && super::facts::iceberg_destinations(&delivery).next().is_some() {
            facts.deliveries.push(delivery);
        }
    }
}

async fn delivery_names(aws: &Aws) -> Outcome<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for _ in 0..PAGES_MAX {
        let mut body = json!({});
        if let Some(last) = names.last() {
            body["ExclusiveStartDeliveryStreamName"] = last.as_str().into();
        }
        let answer = aws.call(Api::FIREHOSE, "ListDeliveryStreams", body).await?;
        let page = answer["DeliveryStreamNames"].as_array().into_iter().flatten();
        names.extend(page.filter_map(|name| Some(name.as_str()?.to_owned())));
        if answer["HasMoreDeliveryStreams"] != true {
            break;
        }
    }
    Ok(names)
}

/// All members of a listing that goes on by `NextToken`.
async fn pages(aws: &Aws, api: Api, operation: &str, members: &str) -> Outcome<Vec<Value>> {
    let mut body = json!({});
    let mut all = Vec::new();
    for _ in 0..PAGES_MAX {
        let answer = aws.call(api, operation, body.clone()).await?;
        all.extend(answer[members].as_array().into_iter().flatten().cloned());
        match answer["NextToken"].as_str() {
            Some(token) => body["NextToken"] = token.into(),
            None => break,
        }
    }
    Ok(all)
}

fn unseen(what: &str, failure: &Failure) -> String {
    format!("{what}: {}", failure.message())
}
