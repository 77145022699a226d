//! Event source mappings: records of a stream, or messages of a queue, handed to a function.
//!
//! `operations` answers the API with what `event_source_mapping` keeps and `change` may change. `pollers` runs a task
//! for each mapping: `stream` with one `shard` reader each, or `queue`. `stream_service` is what DynamoDB Streams and
//! Kinesis do each in their way. A `record` that passes one `pattern` goes into a `delivery`, with the state of its
//! tumbling `window` where there is one, which asks `retry` what to do about failures (`item_failures` says which) and tells the
//! on-failure destination (`failure`) what it gives up.

mod change;
mod delivery;
mod event_source_mapping;
mod failure;
mod item_failures;
pub(crate) mod operations;
mod pattern;
pub(crate) mod pollers;
mod queue;
mod record;
mod retry;
mod shard;
mod stream;
mod stream_service;
mod window;
