//! AWS protocols on the server side: one listener that takes unmodified AWS clients.
//!
//! [`Gateway`] owns the port. A request is told apart by the service name in its SigV4 credential scope, then by
//! `X-Amz-Target` or path (`dispatch`); its body is read within limits (`body`); the caller is known by access key
//! ([`Authentication`], [`Identity`]); and a service answers with bytes or with an [`AwsError`], which becomes the shape
//! that the protocol of that service asks for (`protocol`, with `json`, `rest` and `query` beneath it).
//!
//! A service implements the trait of its protocol family ([`JsonService`], [`RestService`], [`QueryService`],
//! [`StreamingService`]) and knows nothing of HTTP limits, signatures or request ids.

mod authenticate;
mod authorizer;
mod body;
mod credential;
mod denial;
mod dispatch;
mod error;
mod event_stream;
mod front;
mod gateway;
mod health;
mod http2;
mod iam;
mod identity;
mod json;
mod keys;
mod protocol;
mod query;
mod request_id;
mod rest;
mod server;
mod service;
mod signature;
mod sts;

pub use authenticate::Authentication;
pub use authorizer::{Action, Authorizer, Columns, Decision, Resource, Ungoverned};
pub use error::AwsError;
pub use event_stream::{Event, EventStream};
pub use gateway::Gateway;
pub use iam::{Guard, Policy, PolicyError, Tables};
pub use identity::{Caller, DEFAULT_ACCOUNT_ID, DEFAULT_REGION, Identity};
pub use keys::{AccessKey, KeyStore, KnownKeys};
pub use query::{Form, xml_text};
pub use rest::{iceberg_error, rest_json_error};
pub use service::{Body, JsonService, JsonVersion, QueryService, RestService, StreamingService};
