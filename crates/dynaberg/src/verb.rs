//! One file a verb.

pub mod check;
pub mod demo;
pub mod dev;
pub mod dlq;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod maintain;
pub mod prove;
pub mod replay;
pub mod rewind;
pub mod run;
pub mod schema;
pub mod sql;
pub mod status;
pub mod tables;
pub mod tap;
pub mod wait;

mod interrupt;
