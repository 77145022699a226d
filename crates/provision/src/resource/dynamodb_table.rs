//! A DynamoDB table that a stack makes, and the calls on tables that its stream and destinations share.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::continuous_backups::{is_recoverable, make_recoverable};
use super::{Fit, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::{Mark, TAG};

pub struct DynamoDbTable {
    pub name: String,
    /// Partition key first.
    pub keys: Vec<KeyElement>,
    /// Read and write capacity units.
    pub capacity: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyElement {
    pub name: String,
    /// `S`, `N` or `B`.
    pub kind: &'static str,
}

#[async_trait]
impl Resource for DynamoDbTable {
    fn kind(&self) -> &'static str {
        "dynamodb table"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("{} ({})", key.name, key.kind)).collect();
        let (read, write) = self.capacity;
        format!("key {}, {read} read and {write} write units, point-in-time recovery", keys.join(" and "))
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let Some(table) = describe(services, &self.name).await? else { return Ok(Found::Absent) };
        let mark = mark(services, &self.name, TAG).await?;
        if table["KeySchema"] != self.key_schema() {
            let why = format!("it has another key than {}", self.wanted());
            let advice = "another table: a key cannot be changed".to_owned();
            return Ok(Found::There { mark, fit: Fit::Clashes(why, advice) });
        }
        // A foreign table stays as its owner wants it.
        let fit = match mark.is_none() || is_recoverable(services, &self.name).await? {
            true => Fit::Fits,
            false => Fit::Lacks("point-in-time recovery".to_owned()),
        };
        Ok(Found::There { mark, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let arn = arn(services, &self.name);
        let (read, write) = self.capacity;
        let definitions = self.keys.iter().map(|key| json!({ "AttributeName": key.name, "AttributeType": key.kind }));
        let body = json!({
            "TableName": self.name,
            "KeySchema": self.key_schema(),
            "AttributeDefinitions": definitions.collect::<Vec<Value>>(),
            "ProvisionedThroughput": { "ReadCapacityUnits": read, "WriteCapacityUnits": write },
            "Tags": [{ "Key": TAG, "Value": mark.value() }],
        });
        let created = services.json(about("CreateTable", &arn), body).await;
        let made = Made::unless(created, &["ResourceInUseException"])?;
        if made == Made::Done {
            self.change(services, mark).await?;
        }
        Ok(made)
    }

    async fn change(&self, services: &Services, _: &Mark) -> Result<()> {
        until_active(services, &self.name).await?;
        make_recoverable(services, &self.name).await
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.name);
        until_active(services, &self.name).await?;
        let deleted = services.json(about("DeleteTable", &arn), json!({ "TableName": self.name })).await;
        gone(deleted, &["ResourceNotFoundException"])?;
        let is_gone = || async { Ok(describe(services, &self.name).await?.is_none()) };
        services.until(&self.title(), "gone", is_gone).await
    }
}

impl DynamoDbTable {
    fn key_schema(&self) -> Value {
        let elements = self.keys.iter().zip(["HASH", "RANGE"]);
        elements.map(|(key, role)| json!({ "AttributeName": key.name, "KeyType": role })).collect()
    }
}

pub(super) fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::DynamoDb, action, resource }
}

pub(super) fn arn(services: &Services, table: &str) -> String {
    services.arn("dynamodb", &format!("table/{table}"))
}

/// The table's description, if it is there.
pub(super) async fn describe(services: &Services, table: &str) -> Result<Option<Value>> {
    let arn = arn(services, table);
    let described = services.json(about("DescribeTable", &arn), json!({ "TableName": table })).await;
    let described = found(described, &["ResourceNotFoundException"])?;
    Ok(described.map(|answer| answer["Table"].clone()).filter(|table| table["TableStatus"] != "DELETING"))
}

/// The mark `name` among the table's tags.
pub(super) async fn mark(services: &Services, table: &str, name: &str) -> Result<Option<Mark>> {
    // DynamoDB denies the tags of a table that is not there, as if they were somebody else's.
    if describe(services, table).await?.is_none() {
        return Ok(None);
    }
    let arn = arn(services, table);
    let mut body = json!({ "ResourceArn": arn });
    loop {
        let listed = services.json(about("ListTagsOfResource", &arn), body.clone()).await;
        let Some(listed) = found(listed, &["ResourceNotFoundException"])? else { return Ok(None) };
        let mark = Mark::named_among_pairs(name, &listed["Tags"]);
        match &listed["NextToken"] {
            next if mark.is_some() || next.is_null() => return Ok(mark),
            next => body["NextToken"] = next.clone(),
        }
    }
}

pub(super) async fn set_mark(services: &Services, table: &str, name: &str, mark: &Mark) -> Result<()> {
    let arn = arn(services, table);
    let body = json!({ "ResourceArn": arn, "Tags": [{ "Key": name, "Value": mark.value() }] });
    services.json(about("TagResource", &arn), body).await.map(drop)
}

pub(super) async fn remove_mark(services: &Services, table: &str, name: &str) -> Result<()> {
    let arn = arn(services, table);
    let body = json!({ "ResourceArn": arn, "TagKeys": [name] });
    services.json(about("UntagResource", &arn), body).await.map(drop)
}

/// A table that is being changed takes no other change. One that is not there is waited for no longer.
pub(super) async fn until_active(services: &Services, table: &str) -> Result<()> {
    let is_active = || async {
        let described = describe(services, table).await?;
        Ok(described.is_none_or(|table| table["TableStatus"] == "ACTIVE"))
    };
    services.until(&format!("dynamodb table {table}"), "active", is_active).await
}
