//! What carries records onward and looks after those that failed: Amazon SQS and AWS Lambda, served to unmodified
//! clients.

mod lambda;
mod sqs;

pub use lambda::{
    CredentialsOf, FunctionCredentials, Lambda, LambdaError, LambdaOptions, Neighbours, ObjectError, Objects,
};
pub use sqs::{Sqs, SqsError};
