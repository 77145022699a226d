//! The DynamoDB table that a pipeline reads. It is somebody's: never made here, never removed.

use async_trait::async_trait;

use super::dynamodb_table::describe;
use super::{Fit, Found, Made, Resource};
use crate::call::Services;
use crate::error::{Error, Result};
use crate::mark::Mark;

pub struct SourceTable {
    pub name: String,
}

/// As DynamoDB last counted them, about every six hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    pub items: u64,
    pub bytes: u64,
}

impl TableSize {
    /// What a scan of all items takes: half a unit for 4 KB, read eventually consistent.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
    pub fn read_units(&self) -> u64 {
        self.bytes.div_ceil(8 * 1024)
    }
}

impl SourceTable {
    pub async fn size(&self, services: &Services) -> Result<Option<TableSize>> {
        let table = describe(services, &self.name).await?;
        Ok(table.map(|table| TableSize {
            items: table["ItemCount"].as_u64().unwrap_or_default(),
            bytes: table["TableSizeBytes"].as_u64().unwrap_or_default(),
        }))
    }
}

#[async_trait]
impl Resource for SourceTable {
    fn kind(&self) -> &'static str {
        "dynamodb table"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        "there already".to_owned()
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        if describe(services, &self.name).await?.is_some() {
            return Ok(Found::there(None));
        }
        let why = "it does not exist, and a pipeline file does not say its key".to_owned();
        let advice = "create it, or correct [source] table".to_owned();
        Ok(Found::There { mark: None, fit: Fit::Clashes(why, advice) })
    }

    async fn make(&self, _: &Services, _: &Mark) -> Result<Made> {
        let reason = "it is not there".to_owned();
        Err(Error::Clash { resource: self.title(), reason, advice: "create it".to_owned() })
    }

    async fn unmake(&self, _: &Services) -> Result<()> {
        Ok(())
    }
}
