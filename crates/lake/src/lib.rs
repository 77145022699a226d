//! Iceberg tables: catalog client, write, key index, commit, scan, maintain. An AWS client.

mod catalog;
mod error;
#[allow(dead_code, reason = "called by the committer")]
mod key;
#[allow(dead_code, reason = "called by the committer")]
mod key_index;
mod table_writer;

pub use catalog::{Catalog, CatalogConfig, Signing, StorageConfig, TableCreation};
pub use error::{Error, ErrorKind, Result};
pub use table_writer::{ColumnAddition, RowChanges, TableWriter, WriterOptions};
