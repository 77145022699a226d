//! What carries records onward and looks after those that failed: Amazon SQS and AWS Lambda, served to unmodified
//! clients.

mod sqs;

pub use sqs::{Sqs, SqsError};
