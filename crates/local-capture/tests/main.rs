//! Behaviour of local-capture, asked through the trait that the gateway calls.

mod change_records;
mod support;
