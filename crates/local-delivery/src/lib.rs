//! What carries records onward and looks after those that failed: Amazon SQS, AWS Lambda and Amazon Data Firehose,
//! served to unmodified clients.

mod firehose;
mod lambda;
mod sqs;
mod store;

pub use firehose::{
    Buffered, CatalogArn, Converted, Firehose, FirehoseAccount, FirehoseError, FirehoseFailure, FirehoseNeighbours,
    Formats, Functions, GlueTable, Invocation, KinesisFeed, Operation, ParquetCompression, Rejected, TableDelivery,
    TableSettings,
};
pub use lambda::{
    CredentialsOf, FunctionCredentials, Lambda, LambdaError, LambdaOptions, Neighbours, ObjectError, Objects,
};
pub use sqs::{Sqs, SqsError};
