//! SQL over the lake: every query sees one snapshot of each table it names, and what it changes becomes visible in one.
//!
//! `engine` takes a query from text to answer, in a `session` of DataFusion within its `memory`; `rows` come as they are
//! computed. `dialect` lets sqlparser read Athena's SQL, `statement` says what kind of
//! statement it is, `parameters` fills in its `?`. `catalogs` and `tables` find the tables it names, `time_travel` their
//! versions, `named` puts these together; `own_tables` are those that a catalog keeps beside the lake, `external` reads
//! tables over other files, `views` plans queries under a name; `metadata_table` has what `$snapshots` and the like hold, `information_schema`
//! what a catalog tells of itself. `outside` refuses what reads elsewhere. Then the
//! statement is said in words that DataFusion plans: `column_names`, `unnest`, `functions`, `letter_case`, `type_planner`,
//! and `arithmetic` and `timestamps` where Athena computes otherwise; `portions` keeps UNNEST within memory. `writing` changes tables,
//! `export` writes answers to files. `listing` answers SHOW and DESCRIBE, `visible` keeps all of it to what
//! its principal may see. `split` parts a text into statements, `postgres` answers what PostgreSQL's clients ask of its
//! own catalog. `diagnosis` turns what went wrong into an [`Error`] with its place in the text and a way out.

mod answer;
mod arithmetic;
mod catalogs;
mod column_names;
mod compact;
mod diagnosis;
mod dialect;
mod engine;
mod error;
mod export;
mod external;
mod functions;
mod information_schema;
mod letter_case;
mod links;
mod listing;
mod listing_other;
mod memory;
mod metadata_table;
mod named;
mod outside;
mod own_tables;
mod parameters;
mod portions;
mod postgres;
mod read_limit;
mod rows;
mod session;
mod split;
mod statement;
mod tables;
mod text_keys;
mod time_travel;
mod timestamps;
mod type_name;
mod type_planner;
mod unnest;
mod views;
mod visible;
mod writing;

pub use answer::{Answer, SnapshotRead, TableRead, Wrote};
pub use catalogs::{Catalogs, Context, DEFAULT_CATALOG, NoCatalogs};
pub use engine::{Engine, EngineOptions};
pub use error::{Error, Fix, Place, Result};
pub use export::{Export, Exported, folder_value};
pub use external::{
    ColumnDefinition, Delimited, ExternalDefinition, ExternalTable, FileFormat, NewPartition, ObjectAccess, Partition,
    hive_column, hive_type, matching,
};
pub use lake::{Error as LakeError, ErrorKind as LakeErrorKind};
pub use links::{Link, LinkedCatalogs};
pub use memory::Memory;
pub use own_tables::{DatabaseDefinition, Other, OwnTables, View};
pub use parameters::parameter_count;
pub use postgres::{CatalogQuery, Connection, PgType, SERVER_VERSION, pg_type, read_catalog_query};
pub use rows::{Meter, Rows};
pub use split::{Split, split};
pub use statement::{Query, StatementKind, parse, parse_one, parse_with_parameters};
pub use tables::Tables;
pub use type_name::type_name;
pub use visible::{Sight, Visible, Write};
