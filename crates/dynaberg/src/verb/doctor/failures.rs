//! What delivery streams could not deliver: their error objects.

use pipeline::{DeliveryStream, ErrorObjects, Selection};

use super::facts::Facts;
use crate::aws::Aws;
use crate::failure::Outcome;

/// Failed records that are looked at, of each delivery stream.
const RECORDS_MAX: u64 = 10_000;
/// A function that does not account for a record leaves this.
/// Amazon Data Firehose Developer Guide, "Error handling in Firehose".
const UNACCOUNTED: &str = "Lambda.MissingRecordId";

pub async fn look(aws: &Aws, facts: &mut Facts) {
    let streams: Vec<DeliveryStream> = facts.deliveries.iter().filter_map(DeliveryStream::of).collect();
    for stream in streams {
        let name = stream.name.clone();
        match unaccounted(aws, stream).await {
            Ok(0) => {}
            Ok(records) => facts.unaccounted.push((name, records)),
            Err(failure) => facts.miss(&["W6"], format!("error objects of {name}: {}", failure.message())),
        }
    }
}

async fn unaccounted(aws: &Aws, stream: DeliveryStream) -> Outcome<u64> {
    let store = lake::open_store(aws.storage(&aws.region())?, aws.ambient(), &format!("s3://{}", stream.bucket))?;
    let selection = Selection { limit: Some(RECORDS_MAX), ..Selection::default() };
    let codes = ErrorObjects { store, stream }.preview(&selection).await?;
    Ok(codes.get(UNACCOUNTED).map_or(0, |failed| failed.records))
}
