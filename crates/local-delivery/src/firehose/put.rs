//! PutRecord and PutRecordBatch.
//!
//! A record is acknowledged once it is on the disk. Limits:
//! <https://docs.aws.amazon.com/firehose/latest/dev/limits.html>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::firehose::error::{self, Error, Result};
use crate::firehose::stream::{Address, DeliveryStream, Source};
use crate::firehose::{Call, buffer};

const RECORD_BYTES_MAX: usize = 1_000 << 10;
const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutRecord {
    delivery_stream_name: String,
    record: Record,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutRecordBatch {
    delivery_stream_name: String,
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Record {
    /// Base64.
    data: String,
}

pub(super) async fn put(call: &Call<'_>) -> Result<Value> {
    let request: PutRecord = call.parse()?;
    let data = request.record.data("Record.Data")?;
    let (mut ids, is_encrypted) = take(call, &request.delivery_stream_name, vec![data]).await?;
    Ok(json!({ "RecordId": ids.remove(0), "Encrypted": is_encrypted }))
}

/// All of a batch becomes durable, or none of it: then each entry says so, and the batch can be put again as it is.
pub(super) async fn put_batch(call: &Call<'_>) -> Result<Value> {
    let request: PutRecordBatch = call.parse()?;
    if !(1..=BATCH_RECORDS_MAX).contains(&request.records.len()) {
        let message = format!("Records must be between 1 and {BATCH_RECORDS_MAX}; {} are given", request.records.len());
        return Err(error::invalid(message));
    }
    let records = request.records.iter().enumerate();
    let records: Vec<Bytes> =
        records.map(|(number, record)| record.data(&format!("Records[{number}].Data"))).collect::<Result<_>>()?;
    if records.iter().map(Bytes::len).sum::<usize>() > BATCH_BYTES_MAX {
        return Err(error::invalid(format!("Records size exceeds {} MB limit", BATCH_BYTES_MAX >> 20)));
    }
    let count = records.len();
    match take(call, &request.delivery_stream_name, records).await {
        Ok((ids, is_encrypted)) => {
            let responses: Vec<Value> = ids.into_iter().map(|id| json!({ "RecordId": id })).collect();
            Ok(json!({ "FailedPutCount": 0, "Encrypted": is_encrypted, "RequestResponses": responses }))
        }
        Err(Error::Failed(failure)) => {
            tracing::error!(error = %failure, "records were not taken over");
            let refusal = error::service_unavailable();
            let response = json!({ "ErrorCode": refusal.code, "ErrorMessage": refusal.message });
            Ok(json!({ "FailedPutCount": count, "Encrypted": false, "RequestResponses": vec![response; count] }))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Gives the ids of the records, and whether they are kept encrypted, as the delivery stream says.
async fn take(call: &Call<'_>, name: &str, records: Vec<Bytes>) -> Result<(Vec<String>, bool)> {
    let address = Address::of(call.caller, name)?;
    let now_ms = call.now_ms();
    let taken = call.firehose.store.run(move |connection| {
        let stream = DeliveryStream::get(connection, &address)?;
        if !matches!(stream.document.source, Source::DirectPut { .. }) {
            let message =
                format!("Firehose {} takes its records from a Kinesis stream: it cannot be put to", address.name);
            return Err(error::invalid(message));
        }
        let numbers = buffer::append(connection, stream.number, now_ms, &records)?;
        Ok((stream, numbers))
    });
    let (stream, numbers) = taken.await?;
    call.firehose.bells.ring(stream.number);
    let ids = numbers.iter().map(|number| record_id(&stream, *number)).collect();
    Ok((ids, stream.document.encryption["Status"] == "ENABLED"))
}

/// Long, opaque, and different from that of every other record.
pub(super) fn record_id(stream: &DeliveryStream, number: i64) -> String {
    BASE64_STANDARD.encode(format!("{}/{number:020}", stream.document.incarnation))
}

impl Record {
    fn data(&self, member: &str) -> Result<Bytes> {
        let data = BASE64_STANDARD.decode(&self.data);
        let data = data.map_err(|error| error::invalid(format!("{member} is not base64: {error}")))?;
        match data.len() {
            0..=RECORD_BYTES_MAX => Ok(data.into()),
            length => {
                let message = format!("{member} has {length} bytes; at most {RECORD_BYTES_MAX} are allowed");
                Err(error::invalid(message))
            }
        }
    }
}
