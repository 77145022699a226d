//! What delivery streams need of other services, as somebody else plugs it in.

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::JsonService;
use bytes::Bytes;

use crate::firehose::settings::{GlueTable, ParquetCompression};
use crate::lambda::{ObjectError, Objects};

/// Functions of Lambda.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Has the function of that ARN answer an event.
    async fn invoke(&self, arn: &str, event: Bytes) -> Invocation;
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Answered(Bytes),
    TimedOut,
    /// The function failed, or could not be called: why.
    Failed(String),
}

/// Makes Parquet files.
#[async_trait]
pub trait Formats: Send + Sync {
    /// Records of JSON as rows with the columns of `table`. Fails where the table is not there, or has a column that no
    /// JSON fits.
    async fn to_parquet(
        &self,
        table: &GlueTable,
        compression: ParquetCompression,
        records: Vec<Bytes>,
    ) -> Result<Converted, ObjectError>;
}

/// Records after their conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// A file with all rows; `None` where there are none.
    pub content: Option<Bytes>,
    /// Which records are no rows, by their places, and why.
    pub rejected: Vec<(usize, String)>,
}

#[derive(Clone)]
pub struct FirehoseNeighbours {
    pub formats: Arc<dyn Formats>,
    pub objects: Arc<dyn Objects>,
    pub functions: Arc<dyn Functions>,
    /// CloudWatch Logs, called as the AWS service it is.
    pub logs: Arc<dyn JsonService>,
}
