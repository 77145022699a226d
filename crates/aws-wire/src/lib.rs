//! AWS protocols on the server side: one listener that takes unmodified AWS clients.
//!
//! A request is told apart by the service name in its SigV4 credential scope, then by `X-Amz-Target` or path
//! ([`Gateway`]); the caller is known by access key ([`Identity`]); a service answers with bytes or with an
//! [`AwsError`], which becomes the shape that the protocol of that service asks for.

mod error;
mod identity;
mod service;

pub use error::AwsError;
pub use identity::{Caller, Identity};
pub use service::{Body, JsonService, JsonVersion, RestService, StreamingService};
