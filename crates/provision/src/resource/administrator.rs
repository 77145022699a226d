//! An administrator of the data lake, beside those that there are.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use super::resource_link::{mark_on, marked_under, set_mark_on};
use super::{Found, Made, Resource};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::Mark;

/// Settings have no tags: the resource link carries the mark, under this and the principal.
const PARAMETER: &str = "dynaberg:administrator:";

pub struct Administrator {
    /// The ARN of a user or role.
    pub principal: String,
    /// The resource link that carries the mark.
    pub marked_by: String,
}

#[async_trait]
impl Resource for Administrator {
    fn kind(&self) -> &'static str {
        "administrator"
    }

    fn name(&self) -> String {
        self.principal.clone()
    }

    fn wanted(&self) -> String {
        "of the data lake, beside those that there are".to_owned()
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        match administrators(&settings(services).await?).contains(&self.principal) {
            true => Ok(Found::there(mark_on(services, &self.marked_by, &self.parameter()).await?)),
            false => Ok(Found::Absent),
        }
    }

    /// Reads the settings and writes them back with one more: writing replaces all of them.
    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        set_mark_on(services, &self.marked_by, &self.parameter(), Some(mark)).await?;
        let mut settings = settings(services).await?;
        if let Some(listed) = settings["DataLakeAdmins"].as_array_mut() {
            listed.push(json!({ "DataLakePrincipalIdentifier": self.principal }));
        } else {
            settings["DataLakeAdmins"] = json!([{ "DataLakePrincipalIdentifier": self.principal }]);
        }
        put(services, settings).await?;
        Ok(Made::Done)
    }

    async fn forget(&self, services: &Services, owner: &str) -> Result<()> {
        match mark_on(services, &self.marked_by, &self.parameter()).await? {
            Some(mark) if mark.owner == owner => set_mark_on(services, &self.marked_by, &self.parameter(), None).await,
            _ => Ok(()),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let mut settings = settings(services).await?;
        if let Some(listed) = settings["DataLakeAdmins"].as_array_mut() {
            listed.retain(|other| other["DataLakePrincipalIdentifier"] != self.principal);
        }
        put(services, settings).await?;
        set_mark_on(services, &self.marked_by, &self.parameter(), None).await
    }
}

impl Administrator {
    fn parameter(&self) -> String {
        format!("{PARAMETER}{}", self.principal)
    }

    /// Those whom deploys have made administrators.
    pub async fn made(services: &Services, marked_by: &str) -> Result<Vec<String>> {
        marked_under(services, marked_by, PARAMETER).await
    }
}

fn administrators(settings: &Value) -> Vec<String> {
    let listed = settings["DataLakeAdmins"].as_array().into_iter().flatten();
    listed.filter_map(|member| member["DataLakePrincipalIdentifier"].as_str().map(str::to_owned)).collect()
}

async fn settings(services: &Services) -> Result<Value> {
    let about = About { service: Service::LakeFormation, action: "GetDataLakeSettings", resource: "*" };
    let mut answer = services.rest(about, Method::POST, "/GetDataLakeSettings", Some(json!({}))).await?;
    Ok(answer["DataLakeSettings"].take())
}

async fn put(services: &Services, settings: Value) -> Result<()> {
    let about = About { service: Service::LakeFormation, action: "PutDataLakeSettings", resource: "*" };
    let body = json!({ "DataLakeSettings": settings });
    services.rest(about, Method::POST, "/PutDataLakeSettings", Some(body)).await.map(drop)
}
