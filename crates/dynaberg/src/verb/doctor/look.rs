//! Asks the services of a deployment what they are set to. Nothing is changed.

use http::Method;
use provision::{About, Error, Result, Service, Services, encode};
use serde_json::{Value, json};

use super::facts::Facts;
use crate::aws::on;
use crate::failure::{Failure, Outcome};

/// Pages of a listing: more than this is not a listing but a loop.
const PAGES_MAX: usize = 100;

/// Everything but the lake. Fails only where the source table cannot be described.
pub async fn look(services: &Services, source: &str, table: Option<&str>) -> Outcome<Facts> {
    let arn = services.arn("dynamodb", &format!("table/{source}"));
    let describe = About { service: Service::DynamoDb, action: "DescribeTable", resource: &arn };
    let described = services.json(describe, json!({ "TableName": source })).await;
    let described = described.map_err(|error| match error.is(&["ResourceNotFoundException"]) {
        true => Failure::from(error).advise("the name of a DynamoDB table in this region"),
        false => error.into(),
    })?;
    let mut facts = Facts { source: described["Table"].clone(), ..Facts::default() };
    look_at_kinesis(services, source, &mut facts).await;
    look_at_mappings(services, &mut facts).await;
    let table = table.and_then(|table| table.rsplit('.').next());
    look_at_deliveries(services, table, &mut facts).await;
    look_at_tables(services, &mut facts).await;
    let about = on(Service::LakeFormation, "GetDataLakeSettings");
    match services.rest(about, Method::POST, "/GetDataLakeSettings", Some(json!({}))).await {
        Ok(answer) => facts.settings = Some(answer["DataLakeSettings"].clone()),
        Err(error) => facts.miss(&["W14"], unseen("the settings of Lake Formation", &error)),
    }
    match pages(services, on(Service::CloudWatch, "DescribeAlarms"), "MetricAlarms").await {
        Ok(alarms) => facts.alarms = Some(alarms),
        Err(error) => facts.miss(&["W16"], unseen("alarms", &error)),
    }
    Ok(facts)
}

async fn look_at_kinesis(services: &Services, source: &str, facts: &mut Facts) {
    let body = json!({ "TableName": source });
    let about = on(Service::DynamoDb, "DescribeKinesisStreamingDestination");
    let destinations = match services.json(about, body).await {
        Ok(answer) => answer["KinesisDataStreamDestinations"].as_array().cloned().unwrap_or_default(),
        Err(error) => return facts.miss(&["W16", "W19"], unseen("Kinesis destinations", &error)),
    };
    for destination in destinations.iter().filter(|it| it["DestinationStatus"] == "ACTIVE") {
        let body = json!({ "StreamARN": destination["StreamArn"] });
        match services.json(on(Service::Kinesis, "DescribeStreamSummary"), body).await {
            Ok(answer) => facts.kinesis.push(answer["StreamDescriptionSummary"].clone()),
            Err(error) => facts.miss(&["W16"], unseen("a Kinesis stream", &error)),
        }
    }
}

async fn look_at_mappings(services: &Services, facts: &mut Facts) {
    let streams = facts.kinesis.iter().filter_map(|stream| stream["StreamARN"].as_str()).map(str::to_owned);
    let sources: Vec<String> = facts.stream_arn().map(str::to_owned).into_iter().chain(streams).collect();
    for source in sources {
        match mappings_of(services, &source).await {
            Ok(mappings) => facts.mappings.extend(mappings),
            Err(error) => return facts.miss(&["W7"], unseen("event source mappings", &error)),
        }
    }
    let mut names: Vec<String> =
        facts.mappings.iter().filter_map(|it| Some(it["FunctionArn"].as_str()?.to_owned())).collect();
    names.dedup();
    for name in names {
        let path = format!("/2015-03-31/functions/{}/configuration", encode(&name));
        match services.rest(on(Service::Lambda, "GetFunctionConfiguration"), Method::GET, &path, None).await {
            Ok(function) => facts.functions.push(function),
            Err(error) => facts.miss(&["W14"], unseen("a function and its role", &error)),
        }
    }
}

async fn mappings_of(services: &Services, source: &str) -> Result<Vec<Value>> {
    let mut path = format!("/2015-03-31/event-source-mappings?EventSourceArn={}", encode(source));
    let first = path.clone();
    let mut mappings = Vec::new();
    for _ in 0..PAGES_MAX {
        let about = on(Service::Lambda, "ListEventSourceMappings");
        let answer = services.rest(about, Method::GET, &path, None).await?;
        mappings.extend(answer["EventSourceMappings"].as_array().into_iter().flatten().cloned());
        let Some(marker) = answer["NextMarker"].as_str() else { break };
        path = format!("{first}&Marker={}", encode(marker));
    }
    Ok(mappings)
}

/// Delivery streams into Iceberg that read one of our Kinesis streams, or are written to directly for `table`.
async fn look_at_deliveries(services: &Services, table: Option<&str>, facts: &mut Facts) {
    const SHOWN: [&str; 3] = ["W3", "W6", "W13"];
    let names = match delivery_names(services).await {
        Ok(names) => names,
        Err(error) => return facts.miss(&SHOWN, unseen("delivery streams of Data Firehose", &error)),
    };
    for name in names {
        let body = json!({ "DeliveryStreamName": name });
        let delivery = match services.json(on(Service::Firehose, "DescribeDeliveryStream"), body).await {
            Ok(answer) => answer["DeliveryStreamDescription"].clone(),
            Err(error) => {
                facts.miss(&SHOWN, unseen("a delivery stream of Data Firehose", &error));
                continue;
            }
        };
        let is_ours = match delivery["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"].as_str() {
            Some(arn) => facts.kinesis.iter().any(|stream| stream["StreamARN"] == arn),
            None => table.is_none_or(|table| destination_tables(&delivery).any(|(_, name)| name == table)),
        };
        if is_ours && super::facts::iceberg_destinations(&delivery).next().is_some() {
            facts.deliveries.push(delivery);
        }
    }
    if facts.deliveries.is_empty() {
        facts
            .miss(&["W6", "W13"], "no delivery stream into Iceberg was found, whose errors and tables would show them");
    }
}

/// Whether the tables are there that records are to be delivered into.
async fn look_at_tables(services: &Services, facts: &mut Facts) {
    let mut missing = Vec::new();
    for delivery in &facts.deliveries.clone() {
        let name = delivery["DeliveryStreamName"].as_str().unwrap_or("?");
        for destination in super::facts::iceberg_destinations(delivery) {
            let catalog = destination["CatalogConfiguration"]["CatalogARN"].as_str().unwrap_or_default();
            for (database, table) in tables_of(destination) {
                let mut body = json!({ "DatabaseName": database, "Name": table });
                if let Some((account, bucket)) = table_bucket_of(catalog) {
                    body["CatalogId"] = format!("{account}:s3tablescatalog/{bucket}").into();
                }
                match services.json(on(Service::Glue, "GetTable"), body).await {
                    Ok(_) => {}
                    Err(error) if error.is(&["EntityNotFoundException"]) => {
                        missing.push(format!("delivery stream {name}: table {database}.{table}"));
                    }
                    Err(error) => return facts.miss(&["W13"], unseen("the table of a delivery stream", &error)),
                }
            }
        }
    }
    facts.missing_tables = missing;
}

/// Account and bucket of `arn:aws:glue:REGION:ACCOUNT:catalog/s3tablescatalog/BUCKET`.
fn table_bucket_of(catalog_arn: &str) -> Option<(&str, &str)> {
    let (_, bucket) = catalog_arn.split_once(":catalog/s3tablescatalog/")?;
    Some((catalog_arn.split(':').nth(4)?, bucket))
}

fn destination_tables(delivery: &Value) -> impl Iterator<Item = (&str, &str)> {
    super::facts::iceberg_destinations(delivery).flat_map(tables_of)
}

/// Databases and names.
fn tables_of(destination: &Value) -> impl Iterator<Item = (&str, &str)> {
    let tables = destination["DestinationTableConfigurationList"].as_array().into_iter().flatten();
    tables
        .filter_map(|table| Some((table["DestinationDatabaseName"].as_str()?, table["DestinationTableName"].as_str()?)))
}

async fn delivery_names(services: &Services) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for _ in 0..PAGES_MAX {
        let mut body = json!({});
        if let Some(last) = names.last() {
            body["ExclusiveStartDeliveryStreamName"] = last.as_str().into();
        }
        let answer = services.json(on(Service::Firehose, "ListDeliveryStreams"), body).await?;
        let page = answer["DeliveryStreamNames"].as_array().into_iter().flatten();
        names.extend(page.filter_map(|name| Some(name.as_str()?.to_owned())));
        if answer["HasMoreDeliveryStreams"] != true {
            break;
        }
    }
    Ok(names)
}

/// All members of a listing that goes on by `NextToken`.
async fn pages(services: &Services, about: About<'_>, members: &str) -> Result<Vec<Value>> {
    let mut body = json!({});
    let mut all = Vec::new();
    for _ in 0..PAGES_MAX {
        let answer = services.json(about, body.clone()).await?;
        all.extend(answer[members].as_array().into_iter().flatten().cloned());
        match answer["NextToken"].as_str() {
            Some(token) => body["NextToken"] = token.into(),
            None => break,
        }
    }
    Ok(all)
}

pub(super) fn unseen(what: &str, error: &Error) -> String {
    format!("{what}: {error}")
}
