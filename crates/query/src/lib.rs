//! SQL over the lake, read-only: every query sees one snapshot of each table it names.
//!
//! `engine` takes a query from text to answer. `statement` says what kind of statement it is, `tables` finds the tables
//! it names, `letter_case` lets unquoted names be written in any case, `listing` answers SHOW and DESCRIBE, `diagnosis`
//! turns what went wrong into an [`Error`] with its place in the text and a way out.

mod answer;
mod arithmetic;
mod catalogs;
mod column_names;
mod diagnosis;
mod dialect;
mod engine;
mod error;
mod functions;
mod letter_case;
mod listing;
mod metadata_table;
mod outside;
mod parameters;
mod statement;
mod tables;
mod time_travel;
mod type_name;
mod type_planner;
mod unnest;

pub use answer::{Answer, SnapshotRead, TableRead};
pub use catalogs::{Catalogs, Context, DEFAULT_CATALOG};
pub use engine::{Engine, EngineOptions};
pub use error::{Error, Fix, Place, Result};
pub use statement::{Query, StatementKind, parse, parse_with_parameters};
pub use tables::Tables;
pub use type_name::type_name;
