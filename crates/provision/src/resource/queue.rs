//! An SQS queue that is told of dead letters.

use async_trait::async_trait;
use serde_json::json;

use super::{Blueprint, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::Mark;

pub struct Queue {
    pub name: String,
}

/// As long as SQS keeps a message: two weeks, in seconds.
const RETENTION_SECONDS: &str = "1209600";

#[async_trait]
impl Resource for Queue {
    fn kind(&self) -> &'static str {
        "queue"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        "encrypted, keeps messages 14 days".to_owned()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::Queue { name: self.name.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let Some(url) = self.url(services).await? else { return Ok(Found::Absent) };
        let arn = self.arn(services);
        let listed = services.json(about("ListQueueTags", &arn), json!({ "QueueUrl": url })).await;
        let listed = found(listed, &NOT_THERE)?.unwrap_or_default();
        Ok(Found::there(Mark::among(&listed["Tags"])))
    }

    /// Creating a queue that is there with the same attributes is no error: whose tag it carries tells who made it.
    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let mut attributes = json!({ "MessageRetentionPeriod": RETENTION_SECONDS });
        if self.name.ends_with(".fifo") {
            attributes["FifoQueue"] = "true".into();
        }
        let body = json!({ "QueueName": self.name, "Attributes": attributes, "tags": mark.tags() });
        let arn = self.arn(services);
        let created = services.json(about("CreateQueue", &arn), body).await;
        if Made::unless(created, &["QueueNameExists", "QueueAlreadyExists"])? == Made::Taken {
            return Ok(Made::Taken);
        }
        match self.look(services).await?.mark() {
            Some(made) if made.run == mark.run => Ok(Made::Done),
            _ => Ok(Made::Taken),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let Some(url) = self.url(services).await? else { return Ok(()) };
        let arn = self.arn(services);
        gone(services.json(about("DeleteQueue", &arn), json!({ "QueueUrl": url })).await, &NOT_THERE)
    }
}

impl Queue {
    async fn url(&self, services: &Services) -> Result<Option<String>> {
        let arn = self.arn(services);
        let answer = services.json(about("GetQueueUrl", &arn), json!({ "QueueName": self.name })).await;
        let answer = found(answer, &NOT_THERE)?;
        Ok(answer.and_then(|answer| answer["QueueUrl"].as_str().map(str::to_owned)))
    }

    fn arn(&self, services: &Services) -> String {
        services.arn("sqs", &self.name)
    }
}

const NOT_THERE: [&str; 2] = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];

fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::Sqs, action, resource }
}
