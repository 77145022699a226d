//! DynamoDB, DynamoDB Streams and Kinesis Data Streams behind the gateway of `aws-wire`.
//!
//! Items, indexes and expressions are the business of an engine in process ([`engine`]); its changes leave it through
//! an [`outbox`] into a durable [`shard_log`], from which the Streams API is served. [`region`] ties the three together
//! so that a reader of a stream sees every write that was acknowledged before. [`kinesis`] has a log of its own beside it.

mod capture;
mod change_record;
mod dynamodb;
mod engine;
mod kinesis;
mod outbox;
mod region;
mod regions;
mod retention;
mod shard_log;
mod streams;

pub use capture::{Capture, CaptureError, CaptureOptions};
