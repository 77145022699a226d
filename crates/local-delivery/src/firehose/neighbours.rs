//! What delivery streams need of other services, as somebody else plugs it in.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::lambda::Objects;

/// Functions of Lambda.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Has the function of that ARN answer an event.
    async fn invoke(&self, arn: &str, event: Bytes) -> Invocation;
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Answered(Bytes),
    TimedOut,
    /// The function failed, or could not be called: why.
    Failed(String),
}

#[derive(Clone)]
pub struct FirehoseNeighbours {
    pub objects: Arc<dyn Objects>,
    pub functions: Arc<dyn Functions>,
}
