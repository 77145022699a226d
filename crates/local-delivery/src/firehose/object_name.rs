//! Names of the objects that a delivery stream writes.

use std::collections::BTreeMap;

use ambient::Ambient;
use uuid::Uuid;

use crate::firehose::prefix::{self, Values};
use crate::firehose::stream::DeliveryStream;

/// What an object holds.
pub(crate) struct Content<'a> {
    pub prefix: &'a str,
    /// When its first record arrived.
    pub arrived_ms: i64,
    pub error_type: &'a str,
    pub partition_keys: &'a BTreeMap<String, String>,
    /// `.gz`.
    pub extension: &'a str,
}

/// `PREFIX/yyyy/MM/dd/HH/STREAM-VERSION-yyyy-MM-dd-HH-mm-ss-UUID`, as
/// <https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html> has it.
pub(crate) fn object_name(ambient: &Ambient, stream: &DeliveryStream, content: &Content<'_>) -> String {
    let id = time_ordered_id(ambient);
    let random = &ambient.uuid().simple().to_string()[..11];
    let Content { prefix, arrived_ms, error_type, partition_keys, extension } = *content;
    let folder = prefix::evaluate(prefix, &Values { time_ms: arrived_ms, error_type, partition_keys, random });
    let (name, version, second) = (&stream.address.name, stream.document.version, prefix::second(arrived_ms));
    format!("{folder}{name}-{version}-{second}-{id}{extension}")
}

/// A UUID of version 7. AWS's are of version 4; by ours the objects of one second sort as they were written, so that
/// whoever reads a folder in the order of its names has the records in their order.
fn time_ordered_id(ambient: &Ambient) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&ambient.uuid().as_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(ambient.now_ms().unsigned_abs(), &random).into_uuid()
}
