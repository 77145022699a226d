//! The stream of a DynamoDB table: switched on, never switched to another view.

use async_trait::async_trait;
use serde_json::json;

use super::dynamodb_table::{about, arn, describe, mark, remove_mark, set_mark, until_active};
use super::{Blueprint, Fit, Found, Made, Resource, gone};
use crate::call::Services;
use crate::error::Result;
use crate::mark::Mark;

/// A stream has no tags: the table carries its mark.
const TAG: &str = "dynaberg:stream";

pub struct DynamoDbStream {
    pub table: String,
}

#[async_trait]
impl Resource for DynamoDbStream {
    fn kind(&self) -> &'static str {
        "dynamodb stream"
    }

    fn name(&self) -> String {
        self.table.clone()
    }

    fn wanted(&self) -> String {
        "on, with new and old images".to_owned()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::DynamoDbStream { table: self.table.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let Some(table) = describe(services, &self.table).await? else { return Ok(Found::Absent) };
        let specification = &table["StreamSpecification"];
        if specification["StreamEnabled"] != true {
            return Ok(Found::Absent);
        }
        let mark = mark(services, &self.table, TAG).await?;
        let fit = match specification["StreamViewType"].as_str() {
            Some("NEW_AND_OLD_IMAGES" | "NEW_IMAGE") => Fit::Fits,
            other => Fit::Clashes(
                format!("it holds {}, which does not tell what an item became", other.unwrap_or("nothing")),
                "switch it off, once nobody reads it any more".to_owned(),
            ),
        };
        Ok(Found::There { mark, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        until_active(services, &self.table).await?;
        // The mark first: a stream that is on and marked by nobody would stay for ever.
        set_mark(services, &self.table, TAG, mark).await?;
        let specification = json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
        let body = json!({ "TableName": self.table, "StreamSpecification": specification });
        let arn = arn(services, &self.table);
        let made = match services.json(about("UpdateTable", &arn), body).await {
            Ok(_) => Made::Done,
            // The same code is for everything that is wrong with a request: what is there tells.
            Err(error) if error.is(&["ValidationException", "ResourceInUseException"]) => {
                match self.look(services).await? {
                    Found::There { .. } => Made::Taken,
                    Found::Absent => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        until_active(services, &self.table).await?;
        Ok(made)
    }

    async fn forget(&self, services: &Services, owner: &str) -> Result<()> {
        match mark(services, &self.table, TAG).await? {
            Some(mark) if mark.owner == owner => remove_mark(services, &self.table, TAG).await,
            _ => Ok(()),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        until_active(services, &self.table).await?;
        let body = json!({ "TableName": self.table, "StreamSpecification": { "StreamEnabled": false } });
        let arn = arn(services, &self.table);
        gone(services.json(about("UpdateTable", &arn), body).await, &["ResourceNotFoundException"])?;
        until_active(services, &self.table).await?;
        remove_mark(services, &self.table, TAG).await
    }
}

/// The ARN of the table's latest stream, with its label.
pub async fn stream_arn(services: &Services, table: &str) -> Result<Option<String>> {
    let described = describe(services, table).await?;
    Ok(described.and_then(|table| table["LatestStreamArn"].as_str().map(str::to_owned)))
}
