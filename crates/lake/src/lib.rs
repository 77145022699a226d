//! Iceberg tables: catalog client, write, key index, commit, scan, maintain. An AWS client.

mod append;
mod backoff;
mod catalog;
mod column_bounds;
mod commit;
mod contents;
mod data_file;
mod error;
mod evolve;
mod key;
mod key_index;
mod locate;
pub mod maintain;
mod position_deletes;
mod properties;
mod rebuild;
mod row_edits;
mod scan;
mod storage;
mod table_writer;
#[cfg(test)]
mod test_table;
mod turns;

pub use append::{Appender, pipeline_of};
pub use catalog::{Catalog, CatalogConfig, HttpTransport, Signing, TableCreation, Transport, TransportError};
pub use commit::stored_checkpoint;
pub use contents::{Reader, TableContents, Verdict, readers};
pub use error::{Error, ErrorKind, Result};
pub use evolve::{
    Difference, SchemaChange, SchemaVersion, change_schema, changed_schema, differences, parse_type, schema_from_arrow,
    schema_history,
};
pub use properties::set_properties;
pub use row_edits::{Edited, RowEdits};
pub use scan::{LakeTable, OpenStore, ScanCache, arrow_schema};
pub use storage::{OpenBucket, StorageConfig, open_store};
pub use table_writer::{ColumnAddition, Progress, RowChanges, TableWriter, WriterOptions};
pub use turns::Turns;
