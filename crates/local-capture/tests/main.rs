//! Behaviour of local-capture, asked through the trait that the gateway calls.

mod change_records;
mod durability;
mod iterators;
mod operations;
mod shards;
mod streams;
mod support;
