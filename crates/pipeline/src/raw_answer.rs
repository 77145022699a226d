//! The bytes of an AWS answer, as they came.
//!
//! Where we want an answer's own JSON, the request is still the SDK's, with its endpoint, signature and retries; only the
//! body is taken before the SDK parses it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;

/// For the body of an answer whose headers have come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes the body of a successful answer and leaves an empty object in its place. One for each call.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawAnswer {
    body: Arc<Mutex<Option<SdkBody>>>,
}

impl Intercept for RawAnswer {
    fn name(&self) -> &'static str {
        "RawAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = std::mem::replace(response.body_mut(), SdkBody::from("{}"));
            *self.body.lock().expect("no holder panics") = Some(body);
        }
        Ok(())
    }
}

impl RawAnswer {
    /// The whole body, after the call has succeeded.
    pub async fn read(self) -> Result<Bytes, BoxError> {
        let body = self.body.lock().expect("no holder panics").take().ok_or("an answer without a body")?;
        let body = tokio::time::timeout(BODY_TIMEOUT, ByteStream::new(body).collect()).await??;
        Ok(body.into_bytes())
    }
}
