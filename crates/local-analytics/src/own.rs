//! What the default catalog keeps itself, beside the lake's tables: external tables, their partitions, and views.
//!
//! They are kept as Glue's API writes them (`documents`, `databases`), so that what a client put it gets back. `reading` makes of them
//! what the query engine takes, `writing` the other way; `engine` is the engine's way here, `access` its way to their
//! objects.

mod access;
mod databases;
mod documents;
mod engine;
mod reading;
mod writing;

pub(crate) use access::Marker;
pub(crate) use documents::{GluePartition, GlueTable, Own, OwnError, database, partitions, table, tables};
pub(crate) use engine::EngineTables;
pub(crate) use reading::{columns, partition_columns};
