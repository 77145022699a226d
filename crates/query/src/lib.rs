//! SQL over the lake, read-only: every query sees one snapshot of each table it names.
//!
//! `engine` takes a query from text to answer. `statement` says what kind of statement it is, `tables` finds the tables
//! it names, `letter_case` lets unquoted names be written in any case, `listing` answers SHOW and DESCRIBE, `visible`
//! keeps a query to what its principal may see, `diagnosis`
//! turns what went wrong into an [`Error`] with its place in the text and a way out.

mod answer;
mod diagnosis;
mod engine;
mod error;
mod letter_case;
mod listing;
mod statement;
mod tables;
mod type_name;
mod visible;

pub use answer::{Answer, SnapshotRead, TableRead};
pub use engine::{Engine, EngineOptions};
pub use error::{Error, Fix, Place, Result};
pub use statement::{Query, parse, parse_one};
pub use tables::Tables;
pub use type_name::type_name;
pub use visible::{Sight, Visible};
