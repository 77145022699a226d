//! An Iceberg table in a table bucket.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use super::table_bucket::{about, arn, tags};
use super::{Blueprint, Found, Made, Resource, found, gone};
use crate::call::{Services, encode};
use crate::error::Result;
use crate::mark::Mark;

pub struct IcebergTable {
    pub table_bucket: String,
    pub namespace: String,
    pub name: String,
    /// `metadata.iceberg` of CreateTable: schema, partition, properties.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_s3Buckets_IcebergMetadata.html>
    pub definition: Value,
    /// What people read of it: `22 columns, key transaction_id and timestamp`.
    pub summary: String,
}

#[async_trait]
impl Resource for IcebergTable {
    fn kind(&self) -> &'static str {
        "table"
    }

    fn name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    fn wanted(&self) -> String {
        self.summary.clone()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::IcebergTable {
            table_bucket: self.table_bucket.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            definition: self.definition.clone(),
        }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        match self.arn(services).await? {
            None => Ok(Found::Absent),
            Some(arn) => Ok(Found::there(Mark::among(&tags(services, &arn).await?))),
        }
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let arn = arn(services, &self.table_bucket);
        let path = format!("/tables/{}/{}", encode(&arn), encode(&self.namespace));
        let metadata = json!({ "iceberg": self.definition });
        let body = json!({ "name": self.name, "format": "ICEBERG", "metadata": metadata, "tags": mark.tags() });
        let created = services.rest(about("CreateTable", &arn), Method::PUT, &path, Some(body)).await;
        Made::unless(created, &["ConflictException"])
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.table_bucket);
        let path = format!("/tables/{}/{}/{}", encode(&arn), encode(&self.namespace), encode(&self.name));
        let deleted = services.rest(about("DeleteTable", &arn), Method::DELETE, &path, None).await;
        gone(deleted, &["NotFoundException"])
    }
}

impl IcebergTable {
    async fn arn(&self, services: &Services) -> Result<Option<String>> {
        let bucket = arn(services, &self.table_bucket);
        let path = format!(
            "/get-table?name={}&namespace={}&tableBucketARN={}",
            encode(&self.name),
            encode(&self.namespace),
            encode(&bucket)
        );
        let there = services.rest(about("GetTable", &bucket), Method::GET, &path, None).await;
        let there = found(there, &["NotFoundException"])?;
        Ok(there.and_then(|table| table["tableARN"].as_str().map(str::to_owned)))
    }
}
