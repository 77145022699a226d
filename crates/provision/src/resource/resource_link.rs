//! A database of the Glue Data Catalog that leads to a namespace of a table bucket.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Fit, Found, Made, Resource, found, gone};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::{Mark, TAG};

pub struct ResourceLink {
    pub name: String,
    /// `ACCOUNT:s3tablescatalog/BUCKET`.
    pub catalog: String,
    /// The namespace.
    pub database: String,
}

#[async_trait]
impl Resource for ResourceLink {
    fn kind(&self) -> &'static str {
        "resource link"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        format!("leads to {}/{}", self.catalog, self.database)
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let Some(database) = database(services, &self.name).await? else { return Ok(Found::Absent) };
        let mark = database["Parameters"][TAG].as_str().and_then(Mark::parse);
        let target = &database["TargetDatabase"];
        let fit = match target["CatalogId"] == self.catalog && target["DatabaseName"] == self.database {
            true => Fit::Fits,
            false if mark.is_some() => Fit::Lacks(self.wanted()),
            false => Fit::Clashes(
                "it is another database, which no deploy has made".to_owned(),
                "remove or rename it".to_owned(),
            ),
        };
        Ok(Found::There { mark, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let arn = arn(services, &self.name);
        let input = self.input(json!({ TAG: mark.value() }));
        let created = services.json(about("CreateDatabase", &arn), json!({ "DatabaseInput": input })).await;
        Made::unless(created, &["AlreadyExistsException"])
    }

    async fn change(&self, services: &Services, _: &Mark) -> Result<()> {
        let there = database(services, &self.name).await?.unwrap_or_default();
        update(services, &self.name, self.input(there["Parameters"].clone())).await
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let arn = arn(services, &self.name);
        let deleted = services.json(about("DeleteDatabase", &arn), json!({ "Name": self.name })).await;
        gone(deleted, &["EntityNotFoundException"])
    }
}

impl ResourceLink {
    fn input(&self, parameters: Value) -> Value {
        json!({
            "Name": self.name,
            "TargetDatabase": { "CatalogId": self.catalog, "DatabaseName": self.database },
            "Parameters": parameters,
        })
    }
}

fn about<'a>(action: &'a str, resource: &'a str) -> About<'a> {
    About { service: Service::Glue, action, resource }
}

fn arn(services: &Services, name: &str) -> String {
    services.arn("glue", &format!("database/{name}"))
}

pub(super) async fn database(services: &Services, name: &str) -> Result<Option<Value>> {
    let arn = arn(services, name);
    let there = services.json(about("GetDatabase", &arn), json!({ "Name": name })).await;
    Ok(found(there, &["EntityNotFoundException"])?.map(|mut answer| answer["Database"].take()))
}

async fn update(services: &Services, name: &str, input: Value) -> Result<()> {
    let arn = arn(services, name);
    let body = json!({ "Name": name, "DatabaseInput": input });
    services.json(about("UpdateDatabase", &arn), body).await.map(drop)
}

/// The mark that a link carries for something that has no place for one.
pub(super) async fn mark_on(services: &Services, link: &str, name: &str) -> Result<Option<Mark>> {
    let there = database(services, link).await?;
    Ok(there.and_then(|database| database["Parameters"][name].as_str().and_then(Mark::parse)))
}

/// What comes after `prefix` in the names of such marks.
pub(super) async fn marked_under(services: &Services, link: &str, prefix: &str) -> Result<Vec<String>> {
    let there = database(services, link).await?.unwrap_or_default();
    let names = there["Parameters"].as_object().into_iter().flat_map(|parameters| parameters.keys());
    Ok(names.filter_map(|name| name.strip_prefix(prefix).map(str::to_owned)).collect())
}

/// Sets or removes such a mark.
pub(super) async fn set_mark_on(services: &Services, link: &str, name: &str, mark: Option<&Mark>) -> Result<()> {
    let Some(there) = database(services, link).await? else { return Ok(()) };
    let mut parameters = there["Parameters"].as_object().cloned().unwrap_or_default();
    match mark {
        Some(mark) => parameters.insert(name.to_owned(), mark.value().into()),
        None => parameters.remove(name),
    };
    let input = json!({ "Name": link, "TargetDatabase": there["TargetDatabase"], "Parameters": parameters });
    update(services, link, input).await
}
