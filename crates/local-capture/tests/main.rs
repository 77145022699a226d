//! Behaviour of local-capture, asked through the trait that the gateway calls.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic, in its helpers too")]

mod change_records;
mod durability;
mod iterators;
mod kinesis;
mod operations;
mod shards;
mod streams;
mod support;
