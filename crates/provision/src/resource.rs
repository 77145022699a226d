//! One file a kind of resource: how it is looked at, made, marked and removed.

use async_trait::async_trait;

use crate::call::Services;
use crate::error::{Error, Result};
use crate::mark::Mark;

/// What a pipeline or a stack needs, in the order in which it is made.
pub struct Declaration {
    /// `pipeline/orders`, `stack/PipelineStack`.
    pub owner: String,
    pub resources: Vec<Box<dyn Resource>>,
    /// What else the plan is about, such as the transform's id: another one makes another plan.
    pub about: String,
}

/// Something in AWS that is looked for by its name.
#[async_trait]
pub trait Resource: Send + Sync {
    /// In AWS's words: `table bucket`.
    fn kind(&self) -> &'static str;

    fn name(&self) -> String;

    /// What it is to be, on one line. Two that differ in anything that matters differ here.
    fn wanted(&self) -> String;

    /// Looks at it, and changes nothing.
    async fn look(&self, services: &Services) -> Result<Found>;

    /// Makes it, where it is absent. Of two who try at once, one gets [`Made::Done`] and the other [`Made::Taken`].
    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made>;

    /// Gives it what it [`Fit::Lacks`].
    async fn change(&self, _: &Services, _: &Mark) -> Result<()> {
        let reason = "it cannot be changed".to_owned();
        Err(Error::Clash { resource: self.title(), reason, advice: "remove it, and plan again".to_owned() })
    }

    /// Removes it and what is in it. That it is gone already is as good.
    async fn unmake(&self, services: &Services) -> Result<()>;

    /// Removes the mark of something that an apply of `owner` was stopped before making, where somebody else carries it.
    async fn forget(&self, _: &Services, _owner: &str) -> Result<()> {
        Ok(())
    }

    /// What it is to be as plain data, for templates of others who make it.
    fn blueprint(&self) -> Blueprint {
        Blueprint::None
    }

    /// `table bucket streamtablebucket`.
    fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }
}

/// What is there under the name of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Absent,
    There { mark: Option<Mark>, fit: Fit },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    Fits,
    /// Something that can be added without taking anything away.
    Lacks(String),
    /// It cannot become what is wanted: why, and what to try.
    Clashes(String, String),
}

impl Found {
    pub fn there(mark: Option<Mark>) -> Self {
        Self::There { mark, fit: Fit::Fits }
    }

    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Self::There { mark, .. } => mark.as_ref(),
            Self::Absent => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Done,
    /// Somebody else was faster.
    Taken,
}

impl Made {
    /// Taken, where a service refused with one of `codes`.
    pub(crate) fn unless<T>(answer: Result<T>, codes: &[&str]) -> Result<Self> {
        match answer {
            Ok(_) => Ok(Self::Done),
            Err(error) if error.is(codes) => Ok(Self::Taken),
            Err(error) => Err(error),
        }
    }
}

/// Takes it for good that what is to be removed is not there.
pub(crate) fn gone<T>(answer: Result<T>, codes: &[&str]) -> Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.is(codes) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The answer, or `None` where a service refused with one of `codes`.
pub(crate) fn found<T>(answer: Result<T>, codes: &[&str]) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is(codes) => Ok(None),
        Err(error) => Err(error),
    }
}

mod administrator;
mod blueprint;
mod bucket;
mod bucket_policy;
mod continuous_backups;
mod dynamodb_stream;
mod dynamodb_table;
mod grant;
mod iceberg_table;
mod kinesis_destination;
mod kinesis_stream;
mod namespace;
mod queue;
mod resource_link;
mod source_table;
mod table_bucket;

pub use administrator::Administrator;
pub use blueprint::Blueprint;
pub use bucket::Bucket;
pub use bucket_policy::tls_only;
pub use dynamodb_stream::{DynamoDbStream, stream_arn};
pub use dynamodb_table::{DynamoDbTable, KeyElement};
pub use grant::{Grant, GrantOn};
pub use iceberg_table::IcebergTable;
pub use kinesis_destination::KinesisDestination;
pub use kinesis_stream::KinesisStream;
pub use namespace::Namespace;
pub use queue::Queue;
pub use resource_link::ResourceLink;
pub use source_table::{SourceTable, TableSize};
pub use table_bucket::TableBucket;
