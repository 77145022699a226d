//! Resources as plain data: what templates are written from.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blueprint {
    /// Nothing that a template could have: it is there already, or belongs to no service of AWS.
    None,
    DynamoDbStream {
        table: String,
    },
    KinesisStream {
        name: String,
    },
    /// The stream by name or ARN.
    KinesisDestination {
        table: String,
        stream: String,
    },
    Bucket {
        name: String,
    },
    Queue {
        name: String,
    },
    TableBucket {
        name: String,
    },
    Namespace {
        table_bucket: String,
        name: String,
    },
    /// `definition` is `metadata.iceberg` of CreateTable.
    IcebergTable {
        table_bucket: String,
        namespace: String,
        name: String,
        definition: Value,
    },
}
