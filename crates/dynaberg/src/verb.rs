//! One file a verb.

pub mod demo;
pub mod dev;
pub mod maintain;
pub mod replay;
pub mod run;
pub mod schema;
pub mod sql;
pub mod status;
pub mod tables;
pub mod wait;

mod interrupt;
