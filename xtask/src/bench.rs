//! Benchmarks: the release binary, whole processes, CPU-seconds and ratios of one run.

pub mod analysts;
pub mod firehose;
pub mod freshness;
pub mod ingest;
pub mod kinesis;
pub mod maintain;
pub mod process;
pub mod processing;
pub mod query;
pub mod stack;
mod wire;
