//! The real binary, run as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod configuration;
mod foreground;
mod support;
