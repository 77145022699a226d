//! Functions that delivery streams have look at their records, called as an AWS client does.

use async_trait::async_trait;
use bytes::Bytes;
use local_delivery::{Functions, Invocation};
use pipeline::{Function as _, FunctionName, Invoked};

use crate::aws::Aws;

/// Lambda, where `aws` says it is.
pub struct LambdaFunctions(pub Aws);

#[async_trait]
impl Functions for LambdaFunctions {
    async fn invoke(&self, arn: &str, event: Bytes) -> Invocation {
        let Some(name) = FunctionName::parse(arn) else {
            return Invocation::Failed(format!("`{arn}` is not the ARN of a function"));
        };
        let client = match self.0.function(&name) {
            Ok(client) => client,
            Err(failure) => return Invocation::Failed(failure.message()),
        };
        match client.invoke(event).await {
            Ok(Invoked::Answered(answer)) => Invocation::Answered(answer),
            Ok(Invoked::Failed(reason)) if reason.contains("its timeout") => Invocation::TimedOut,
            Ok(Invoked::Failed(reason)) => Invocation::Failed(reason),
            Err(error) => Invocation::Failed(error.report()),
        }
    }
}
