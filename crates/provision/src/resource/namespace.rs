//! A namespace of a table bucket.

use async_trait::async_trait;
use http::Method;
use serde_json::json;

use super::table_bucket::{about, arn, tags};
use super::{Blueprint, Found, Made, Resource, found, gone};
use crate::call::{Services, encode};
use crate::error::Result;
use crate::mark::Mark;

pub struct Namespace {
    pub table_bucket: String,
    pub name: String,
}

#[async_trait]
impl Resource for Namespace {
    fn kind(&self) -> &'static str {
        "namespace"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        format!("in {}", self.table_bucket)
    }

    fn blueprint(&self) -> Blueprint {
        Blueprint::Namespace { table_bucket: self.table_bucket.clone(), name: self.name.clone() }
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let arn = arn(services, &self.table_bucket);
        let there = services.rest(about("GetNamespace", &arn), Method::GET, &self.path(&arn), None).await;
        if found(there, &["NotFoundException"])?.is_none() {
            return Ok(Found::Absent);
        }
        let tags = tags(services, &arn).await?;
        Ok(Found::there(tags[self.tag()].as_str().and_then(Mark::parse)))
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let arn = arn(services, &self.table_bucket);
        // A namespace has no tags: its bucket carries the mark, and carries it first.
        let body = json!({ "tags": { self.tag(): mark.value() } });
        services.rest(about("TagResource", &arn), Method::POST, &format!("/tag/{}", encode(&arn)), Some(body)).await?;
        let path = format!("/namespaces/{}", encode(&arn));
        let body = json!({ "namespace": [self.name] });
        let created = services.rest(about("CreateNamespace", &arn), Method::PUT, &path, Some(body)).await;
        Made::unless(created, &["ConflictException"])
    }

    async fn forget(&self, services: &Services, owner: &str) -> Result<()> {
        let arn = arn(services, &self.table_bucket);
        let mark = tags(services, &arn).await?[self.tag()].as_str().and_then(Mark::parse);
        match mark {
            Some(mark) if mark.owner == owner => self.untag(services, &arn).await,
            _ => Ok(()),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.table_bucket);
        let deleted = services.rest(about("DeleteNamespace", &arn), Method::DELETE, &self.path(&arn), None).await;
        gone(deleted, &["NotFoundException"])?;
        self.untag(services, &arn).await
    }
}

impl Namespace {
    fn tag(&self) -> String {
        format!("dynaberg:namespace:{}", self.name)
    }

    async fn untag(&self, services: &Services, arn: &str) -> Result<()> {
        let path = format!("/tag/{}?tagKeys={}", encode(arn), encode(&self.tag()));
        services.rest(about("UntagResource", arn), Method::DELETE, &path, None).await.map(drop)
    }

    fn path(&self, arn: &str) -> String {
        format!("/namespaces/{}/{}", encode(arn), encode(&self.name))
    }
}
