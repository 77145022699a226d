//! What pipelines promise, checked with small real sources and sinks that fail as they are told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod commit_order;
mod delivery;
mod dynamodb_streams;
mod redrive;
mod shard_order;
mod supervision;
mod support;
