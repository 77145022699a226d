//! Where a DynamoDB table sends its changes: a Kinesis stream.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::dynamodb_table::{about, arn, mark, remove_mark, set_mark, until_active};
use super::{Blueprint, Fit, Found, Made, Resource, found, gone};
use crate::call::Services;
use crate::error::Result;
use crate::mark::Mark;

/// A destination has no tags: the table carries its mark.
const TAG: &str = "dynaberg:kinesis-destination";

pub struct KinesisDestination {
    pub table: String,
    /// By name or ARN.
    pub stream: String,
}

#[async_trait]
impl Resource for KinesisDestination {
    fn kind(&self) -> &'static str {
        "kinesis destination"
    }

    fn name(&self) -> String {
        self.table.clone()
    }

    fn wanted(&self) -> String {
        format!("changes go to the stream {}", self.stream)
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::KinesisDestination { table: self.table.clone(), stream: self.stream.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let stream = self.stream_arn(services);
        let all = destinations(services, &self.table).await?;
        let Some(destination) = all.iter().find(|destination| destination["StreamArn"] == stream) else {
            return Ok(Found::Absent);
        };
        let fit = match destination["DestinationStatus"].as_str() {
            Some("ACTIVE" | "ENABLING" | "UPDATING") => Fit::Fits,
            _ => return Ok(Found::Absent),
        };
        Ok(Found::There { mark: mark(services, &self.table, TAG).await?, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        until_active(services, &self.table).await?;
        set_mark(services, &self.table, TAG, mark).await?;
        let body = json!({
            "TableName": self.table,
            "StreamArn": self.stream_arn(services),
            "EnableKinesisStreamingConfiguration": { "ApproximateCreationDateTimePrecision": "MICROSECOND" },
        });
        let arn = arn(services, &self.table);
        let made = match services.json(about("EnableKinesisStreamingDestination", &arn), body).await {
            Ok(_) => Made::Done,
            Err(error) if error.is(&["ValidationException", "ResourceInUseException"]) => {
                match self.look(services).await? {
                    Found::There { .. } => Made::Taken,
                    Found::Absent => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        self.until(services, "ACTIVE").await?;
        Ok(made)
    }

    async fn forget(&self, services: &Services, owner: &str) -> Result<()> {
        match mark(services, &self.table, TAG).await? {
            Some(mark) if mark.owner == owner => remove_mark(services, &self.table, TAG).await,
            _ => Ok(()),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let body = json!({ "TableName": self.table, "StreamArn": self.stream_arn(services) });
        let arn = arn(services, &self.table);
        let disabled = services.json(about("DisableKinesisStreamingDestination", &arn), body).await;
        gone(disabled, &["ResourceNotFoundException"])?;
        self.until(services, "DISABLED").await?;
        remove_mark(services, &self.table, TAG).await
    }
}

impl KinesisDestination {
    fn stream_arn(&self, services: &Services) -> String {
        match self.stream.starts_with("arn:") {
            true => self.stream.clone(),
            false => super::kinesis_stream::arn(services, &self.stream),
        }
    }

    async fn until(&self, services: &Services, status: &str) -> Result<()> {
        let stream = self.stream_arn(services);
        let has_it = || async {
            let all = destinations(services, &self.table).await?;
            let found = all.iter().find(|destination| destination["StreamArn"] == stream);
            Ok(found.map_or(status == "DISABLED", |destination| destination["DestinationStatus"] == status))
        };
        services.until(&self.title(), &status.to_lowercase(), has_it).await
    }

    /// The stream that the table's changes go to already, where it is only one: by its ARN.
    pub async fn the_only_one(services: &Services, table: &str) -> Result<Option<String>> {
        let all = destinations(services, table).await?;
        let mut active = all.iter().filter(|destination| destination["DestinationStatus"] == "ACTIVE");
        Ok(match (active.next(), active.next()) {
            (Some(only), None) => only["StreamArn"].as_str().map(str::to_owned),
            _ => None,
        })
    }
}

async fn destinations(services: &Services, table: &str) -> Result<Vec<Value>> {
    let arn = arn(services, table);
    let body = json!({ "TableName": table });
    let described = services.json(about("DescribeKinesisStreamingDestination", &arn), body).await;
    let described = found(described, &["ResourceNotFoundException"])?.unwrap_or_default();
    Ok(described["KinesisDataStreamDestinations"].as_array().cloned().unwrap_or_default())
}
