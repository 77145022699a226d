//! Table maintenance: the three jobs of S3 Tables, done by `lake::maintain`.
//!
//! `policies` says what is asked for, `upkeep` does one table's jobs, `rounds` does them for many tables again and again.

mod metrics;
mod policies;
mod rounds;
mod upkeep;

pub use policies::Policies;
pub use rounds::{RoundOptions, maintain_targets, maintain_warehouse};
pub use upkeep::Upkeep;
