//! The real binary, run as a user runs it.

mod configuration;
mod foreground;
mod support;
