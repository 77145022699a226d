//! One file a verb.

pub mod apply;
pub mod check;
pub mod demo;
pub mod deploy;
pub mod destroy;
pub mod dev;
pub mod dlq;
pub mod doctor;
pub mod explain;
pub mod iam_policy;
pub mod init;
pub mod maintain;
pub mod plan;
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
