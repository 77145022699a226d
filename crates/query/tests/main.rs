#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod catalogs;
mod dialect;
mod errors;
mod names;
mod sight;
mod sqllogic;
mod support;
mod time_travel;
