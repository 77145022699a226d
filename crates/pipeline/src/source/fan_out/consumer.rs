//! The consumer that a pipeline reads as.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::ConsumerStatus;

use crate::discover::describe_error;
use crate::error::{Error, ErrorKind, Result};

/// How often a new consumer is looked at, and how many times at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS_MAX: usize = 120;

/// The ARN of the stream's consumer `name`, once it is active. It is registered where it is not there, and never removed:
/// a pipeline that comes back finds it again.
pub(super) async fn find_or_register(client: &Client, stream_arn: &str, name: &str) -> Result<String> {
    for _ in 0..LOOKS_MAX {
        let described = client.describe_stream_consumer().stream_arn(stream_arn).consumer_name(name).send().await;
        match described {
            Ok(output) => {
                let consumer = output.consumer_description;
                if let Some(consumer) = consumer.filter(|it| *it.consumer_status() == ConsumerStatus::Active) {
                    return Ok(consumer.consumer_arn().to_owned());
                }
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                let registered = client.register_stream_consumer().stream_arn(stream_arn).consumer_name(name);
                match registered.send().await {
                    Ok(_) => {
                        tracing::info!(consumer = name, "registered");
                        continue;
                    }
                    // Somebody else was faster.
                    Err(error) if error.code() == Some("ResourceInUseException") => {}
                    Err(error) if error.code() == Some("LimitExceededException") => {
                        let message = format!(
                            "stream {stream_arn} takes no further consumer. Try: remove one with `aws kinesis \
                             deregister-stream-consumer`, or the pipeline's `[source] fan_out`"
                        );
                        return Err(Error::new(ErrorKind::Misconfigured, message).with_source(error));
                    }
                    Err(error) => return Err(describe_error(error, stream_arn)),
                }
            }
            Err(error) => return Err(describe_error(error, stream_arn)),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Error::new(ErrorKind::Transient, format!("wait for consumer {name} of stream {stream_arn} to be active")))
}
