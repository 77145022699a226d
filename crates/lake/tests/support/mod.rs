//! Doubles: a catalog in memory and a table in it.

pub mod memory_catalog;
pub mod world;
