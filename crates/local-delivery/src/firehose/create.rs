//! CreateDeliveryStream.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::firehose::encryption::{self, EncryptionInput};
use crate::firehose::error::{self, Result};
use crate::firehose::settings::{IcebergDestination, S3Destination, check_role};
use crate::firehose::stream::{Address, DeliveryStream, Destination, Document, Source};
use crate::firehose::tags::{self, Tag};
use crate::firehose::{Call, bells};

/// A quota of AWS for most regions.
const STREAMS_MAX: usize = 5_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    delivery_stream_name: String,
    delivery_stream_type: Option<String>,
    direct_put_source_configuration: Option<DirectPut>,
    kinesis_stream_source_configuration: Option<Kinesis>,
    delivery_stream_encryption_configuration_input: Option<EncryptionInput>,
    iceberg_destination_configuration: Option<Value>,
    extended_s3_destination_configuration: Option<Value>,
    s3_destination_configuration: Option<Value>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DirectPut {
    #[serde(rename = "ThroughputHintInMBs")]
    throughput_hint_in_mbs: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Kinesis {
    #[serde(rename = "KinesisStreamARN")]
    kinesis_stream_arn: String,
    #[serde(rename = "RoleARN")]
    role_arn: String,
}

/// The delivery stream is ACTIVE at once, where AWS takes a minute.
pub(super) async fn create(call: &Call<'_>) -> Result<Value> {
    let request: Request = call.parse()?;
    if let Some(other) = request.others.keys().next() {
        return Err(error::not_served(other, "IcebergDestinationConfiguration or ExtendedS3DestinationConfiguration"));
    }
    let address = Address::of(call.caller, &request.delivery_stream_name)?;
    let source = source(&request)?;
    let destination = destination(&request)?;
    let encryption = match &request.delivery_stream_encryption_configuration_input {
        None => encryption::disabled(),
        Some(_) if !matches!(source, Source::DirectPut { .. }) => {
            return Err(error::invalid("DeliveryStreamEncryptionConfigurationInput is for DirectPut delivery streams"));
        }
        Some(input) => input.enabled()?,
    };
    let tags = tags::checked(&request.tags)?;
    let document = Document {
        incarnation: call.firehose.ambient.uuid(),
        version: 1,
        created_ms: call.now_ms(),
        updated_ms: None,
        source,
        encryption,
        destination,
    };
    let arn = address.arn();
    let created = call.firehose.store.run(move |connection| {
        if DeliveryStream::find(connection, &address)?.is_some() {
            let message = format!("Firehose {} under accountId {} already exists", address.name, address.account);
            return Err(error::in_use(message));
        }
        let in_region = |stream: &DeliveryStream| {
            stream.address.account == address.account && stream.address.region == address.region
        };
        if DeliveryStream::list(connection)?.iter().filter(|stream| in_region(stream)).count() >= STREAMS_MAX {
            return Err(error::limit_exceeded(format!("there are {STREAMS_MAX} delivery streams in this region")));
        }
        DeliveryStream::insert(connection, &address, &document, &json!(tags).to_string())
    });
    created.await?;
    call.firehose.bells.ring(bells::CHANGES);
    Ok(json!({ "DeliveryStreamARN": arn }))
}

fn source(request: &Request) -> Result<Source> {
    match (request.delivery_stream_type.as_deref().unwrap_or("DirectPut"), &request.kinesis_stream_source_configuration)
    {
        ("DirectPut", None) => {
            let hint = request.direct_put_source_configuration.as_ref().map(|source| source.throughput_hint_in_mbs);
            match hint {
                None | Some(1..=100) => Ok(Source::DirectPut { throughput_hint_mbs: hint }),
                Some(_) => Err(error::invalid("ThroughputHintInMBs must be between 1 and 100")),
            }
        }
        ("DirectPut", Some(_)) => Err(error::invalid(
            "KinesisStreamSourceConfiguration must not be given for DeliveryStreamType DirectPut. \
             Try: DeliveryStreamType KinesisStreamAsSource",
        )),
        ("KinesisStreamAsSource", _) if request.direct_put_source_configuration.is_some() => {
            Err(error::invalid("DirectPutSourceConfiguration must not be given for KinesisStreamAsSource"))
        }
        ("KinesisStreamAsSource", None) => {
            Err(error::invalid("KinesisStreamAsSource needs a KinesisStreamSourceConfiguration"))
        }
        ("KinesisStreamAsSource", Some(kinesis)) => {
            check_role("KinesisStreamSourceConfiguration.RoleARN", &kinesis.role_arn)?;
            let arn = &kinesis.kinesis_stream_arn;
            let parts: Vec<&str> = arn.splitn(6, ':').collect();
            if !matches!(parts[..], ["arn", _, "kinesis", _, _, name] if name.starts_with("stream/")) {
                return Err(error::invalid(format!("KinesisStreamARN `{arn}` must be the ARN of a Kinesis stream")));
            }
            Ok(Source::Kinesis { stream_arn: arn.clone(), role_arn: kinesis.role_arn.clone() })
        }
        (known @ ("MSKAsSource" | "DatabaseAsSource"), _) => {
            Err(error::not_served(&format!("DeliveryStreamType {known}"), "DirectPut or KinesisStreamAsSource"))
        }
        (other, _) => Err(error::invalid(format!("DeliveryStreamType `{other}` is not a type"))),
    }
}

fn destination(request: &Request) -> Result<Destination> {
    let given = (
        &request.iceberg_destination_configuration,
        &request.extended_s3_destination_configuration,
        &request.s3_destination_configuration,
    );
    match given {
        (Some(iceberg), None, None) => iceberg_of(iceberg.clone()),
        (None, Some(s3), None) => s3_of(s3.clone(), true),
        (None, None, Some(s3)) => s3_of(s3.clone(), false),
        (None, None, None) => Err(error::invalid("exactly one destination configuration must be given; there is none")),
        _ => Err(error::invalid("exactly one destination configuration must be given; there are several")),
    }
}

pub(super) fn iceberg_of(settings: Value) -> Result<Destination> {
    let settings: IcebergDestination = read("IcebergDestinationConfiguration", settings)?;
    settings.check()?;
    Ok(Destination::Iceberg(Box::new(settings)))
}

pub(super) fn s3_of(settings: Value, is_extended: bool) -> Result<Destination> {
    let member = if is_extended { "ExtendedS3DestinationConfiguration" } else { "S3DestinationConfiguration" };
    let settings: S3Destination = read(member, settings)?;
    if is_extended {
        settings.check_extended(member)?
    } else {
        settings.check_plain(member)?
    }
    Ok(Destination::S3 { settings: Box::new(settings), is_extended })
}

fn read<T: serde::de::DeserializeOwned>(member: &str, settings: Value) -> Result<T> {
    serde_json::from_value(settings).map_err(|error| error::invalid(format!("{member}: {error}")))
}
