//! A Kinesis data stream for the changes of a table.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Blueprint, Fit, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::Mark;

pub struct KinesisStream {
    pub name: String,
}

#[async_trait]
impl Resource for KinesisStream {
    fn kind(&self) -> &'static str {
        "kinesis stream"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        "on demand, encrypted, keeps 24 hours".to_owned()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::KinesisStream { name: self.name.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let Some(summary) = describe(services, &self.name).await? else { return Ok(Found::Absent) };
        let body = json!({ "StreamName": self.name });
        let arn = arn(services, &self.name);
        let listed = services.json(about("ListTagsForStream", &arn), body).await;
        let listed = found(listed, &["ResourceNotFoundException"])?.unwrap_or_default();
        let mark = Mark::among_pairs(&listed["Tags"]);
        // A foreign stream stays as its owner wants it.
        let is_ours = mark.is_some();
        let fit = match summary["EncryptionType"].as_str() {
            Some("KMS") => Fit::Fits,
            _ if is_ours => Fit::Lacks("encrypted with the key that AWS manages".to_owned()),
            _ => Fit::Fits,
        };
        Ok(Found::There { mark, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let body = json!({
            "StreamName": self.name,
            "StreamModeDetails": { "StreamMode": "ON_DEMAND" },
            "Tags": mark.tags(),
        });
        let arn = arn(services, &self.name);
        let made = Made::unless(services.json(about("CreateStream", &arn), body).await, &["ResourceInUseException"])?;
        if made == Made::Done {
            self.change(services, mark).await?;
        }
        Ok(made)
    }

    async fn change(&self, services: &Services, _: &Mark) -> Result<()> {
        self.until_active(services).await?;
        let arn = arn(services, &self.name);
        let body = json!({ "StreamName": self.name, "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" });
        services.json(about("StartStreamEncryption", &arn), body).await?;
        self.until_active(services).await
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.name);
        let body = json!({ "StreamName": self.name, "EnforceConsumerDeletion": true });
        gone(services.json(about("DeleteStream", &arn), body).await, &["ResourceNotFoundException"])?;
        let is_gone = || async { Ok(describe(services, &self.name).await?.is_none()) };
        services.until(&self.title(), "gone", is_gone).await
    }
}

impl KinesisStream {
    async fn until_active(&self, services: &Services) -> Result<()> {
        let is_active = || async {
            let described = describe(services, &self.name).await?;
            Ok(described.is_some_and(|summary| summary["StreamStatus"] == "ACTIVE"))
        };
        services.until(&self.title(), "active", is_active).await
    }
}

/// Its summary, if it is there and stays.
async fn describe(services: &Services, name: &str) -> Result<Option<Value>> {
    let arn = arn(services, name);
    let described = services.json(about("DescribeStreamSummary", &arn), json!({ "StreamName": name })).await;
    let described = found(described, &["ResourceNotFoundException"])?;
    Ok(described.map(|answer| answer["StreamDescriptionSummary"].clone()))
}

fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::Kinesis, action, resource }
}

pub(super) fn arn(services: &Services, stream: &str) -> String {
    services.arn("kinesis", &format!("stream/{stream}"))
}
