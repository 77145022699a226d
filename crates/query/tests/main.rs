#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dialect;
mod errors;
mod names;
mod sight;
mod support;
