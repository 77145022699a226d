//! A table bucket of Amazon S3 Tables.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use super::{Blueprint, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services, encode};
use crate::error::Result;
use crate::mark::Mark;

pub struct TableBucket {
    pub name: String,
}

#[async_trait]
impl Resource for TableBucket {
    fn kind(&self) -> &'static str {
        "table bucket"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        "compaction, snapshot expiry and removal of unreferenced files on".to_owned()
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::TableBucket { name: self.name.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let arn = arn(services, &self.name);
        let path = format!("/buckets/{}", encode(&arn));
        let there = services.rest(about("GetTableBucket", &arn), Method::GET, &path, None).await;
        match found(there, &["NotFoundException"])? {
            None => Ok(Found::Absent),
            Some(_) => Ok(Found::there(Mark::among(&tags(services, &arn).await?))),
        }
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let arn = arn(services, &self.name);
        let body = json!({ "name": self.name, "tags": mark.tags() });
        let created = services.rest(about("CreateTableBucket", &arn), Method::PUT, "/buckets", Some(body)).await;
        Made::unless(created, &["ConflictException"])
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.name);
        let path = format!("/buckets/{}", encode(&arn));
        let deleted = services.rest(about("DeleteTableBucket", &arn), Method::DELETE, &path, None).await;
        gone(deleted, &["NotFoundException"])
    }
}

pub(super) fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::S3Tables, action, resource }
}

pub(super) fn arn(services: &Services, bucket: &str) -> String {
    services.arn("s3tables", &format!("bucket/{bucket}"))
}

/// The tags of a table bucket or a table.
pub(super) async fn tags(services: &Services, arn: &str) -> Result<Value> {
    let path = format!("/tag/{}", encode(arn));
    let listed = services.rest(about("ListTagsForResource", arn), Method::GET, &path, None).await;
    Ok(found(listed, &["NotFoundException"])?.unwrap_or_default()["tags"].take())
}
