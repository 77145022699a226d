//! Doubles: a catalog in memory, a table in it, its store and its time.

pub mod clock;
pub mod dated_store;
pub mod foreign;
pub mod memory_catalog;
pub mod world;
