//! Amazon S3, S3 Tables and the Iceberg REST catalog of S3 Tables, on the files of one folder.
//!
//! `objects` keeps objects as files, `catalog` keeps tables on top of them. Four fronts stand before these two: `s3`,
//! `s3_tables` and `iceberg_rest` speak AWS's protocols, `local_store` is the same objects without a socket.

mod catalog;
mod directory;
mod error;
mod governance;
mod iceberg_rest;
mod local_store;
mod maintenance;
mod objects;
mod rest;
mod s3;
mod s3_tables;
mod warehouse;

pub use directory::{Directory, TableEntry};
pub use error::WarehouseError;
pub use iceberg_rest::VendedCredentials;
pub use maintenance::{
    Compaction, CompactionStrategy, MaintainedTable, Maintenance, MaintenanceJob, MaintenanceOutcome,
    SnapshotManagement, UnreferencedFileRemoval,
};
pub use warehouse::Warehouse;
