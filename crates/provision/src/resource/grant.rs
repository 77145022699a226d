//! Rights of Lake Formation on one table or one database, for one principal.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use super::resource_link::{mark_on, marked_under, set_mark_on};
use super::{Fit, Found, Made, Resource, gone};
use crate::call::{About, Service, Services};
use crate::error::Result;
use crate::mark::Mark;

/// What the mark of a grant is called on the link that carries it, before the principal.
const ON_TABLE: &str = "dynaberg:grant:table:";

pub struct Grant {
    /// The ARN of a user or role.
    pub principal: String,
    pub on: GrantOn,
    pub permissions: &'static [&'static str],
    /// The resource link that carries the mark: a grant has no tags.
    pub marked_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantOn {
    /// `catalog` is `ACCOUNT:s3tablescatalog/BUCKET`.
    Table { catalog: String, database: String, name: String },
    /// Of the default catalog.
    Database { name: String },
}

#[async_trait]
impl Resource for Grant {
    fn kind(&self) -> &'static str {
        "grant"
    }

    fn name(&self) -> String {
        match &self.on {
            GrantOn::Table { database, name, .. } => format!("{} on {database}.{name}", self.permissions.join(", ")),
            GrantOn::Database { name } => format!("{} on {name}", self.permissions.join(", ")),
        }
    }

    fn wanted(&self) -> String {
        format!("to {}", self.principal)
    }

    async fn look(&self, services: &Services) -> Result<Found> {
        let principal = json!({ "DataLakePrincipalIdentifier": self.principal });
        let mut body = json!({ "Principal": principal, "Resource": self.resource(services) });
        let mut held: Vec<String> = Vec::new();
        loop {
            let listed =
                services.rest(about("ListPermissions"), Method::POST, "/ListPermissions", Some(body.clone())).await;
            let listed = match listed {
                Ok(listed) => listed,
                // On a table or database that is not there, nothing is granted.
                Err(error) if error.is(&["EntityNotFoundException"]) => return Ok(Found::Absent),
                Err(error) => return Err(error),
            };
            for entry in listed["PrincipalResourcePermissions"].as_array().into_iter().flatten() {
                let permissions = entry["Permissions"].as_array().into_iter().flatten();
                held.extend(permissions.filter_map(|permission| permission.as_str().map(str::to_owned)));
            }
            match &listed["NextToken"] {
                Value::Null => break,
                next => body["NextToken"] = next.clone(),
            }
        }
        let has = |permission: &&str| held.iter().any(|held| held == permission || held == "ALL");
        if held.is_empty() {
            return Ok(Found::Absent);
        }
        let mark = mark_on(services, &self.marked_by, &self.parameter()).await?;
        let fit = match self.permissions.iter().all(has) {
            true => Fit::Fits,
            false => Fit::Lacks(format!("{} besides {}", self.permissions.join(", "), held.join(", "))),
        };
        Ok(Found::There { mark, fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        set_mark_on(services, &self.marked_by, &self.parameter(), Some(mark)).await?;
        self.call(services, "GrantPermissions").await?;
        Ok(Made::Done)
    }

    async fn change(&self, services: &Services, _: &Mark) -> Result<()> {
        self.call(services, "GrantPermissions").await
    }

    async fn forget(&self, services: &Services, owner: &str) -> Result<()> {
        match mark_on(services, &self.marked_by, &self.parameter()).await? {
            Some(mark) if mark.owner == owner => set_mark_on(services, &self.marked_by, &self.parameter(), None).await,
            _ => Ok(()),
        }
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        gone(self.call(services, "RevokePermissions").await, &["EntityNotFoundException", "InvalidInputException"])?;
        set_mark_on(services, &self.marked_by, &self.parameter(), None).await
    }
}

impl Grant {
    fn parameter(&self) -> String {
        match self.on {
            GrantOn::Table { .. } => format!("{ON_TABLE}{}", self.principal),
            GrantOn::Database { .. } => format!("dynaberg:grant:database:{}", self.principal),
        }
    }

    /// Those to whom deploys have granted something on a table.
    pub async fn grantees(services: &Services, marked_by: &str) -> Result<Vec<String>> {
        marked_under(services, marked_by, ON_TABLE).await
    }

    fn resource(&self, services: &Services) -> Value {
        match &self.on {
            GrantOn::Table { catalog, database, name } => {
                json!({ "Table": { "CatalogId": catalog, "DatabaseName": database, "Name": name } })
            }
            GrantOn::Database { name } => {
                json!({ "Database": { "CatalogId": services.caller.account, "Name": name } })
            }
        }
    }

    async fn call(&self, services: &Services, action: &'static str) -> Result<()> {
        let body = json!({
            "Principal": { "DataLakePrincipalIdentifier": self.principal },
            "Resource": self.resource(services),
            "Permissions": self.permissions,
        });
        services.rest(about(action), Method::POST, &format!("/{action}"), Some(body)).await.map(drop)
    }
}

fn about(action: &str) -> About<'_> {
    About { service: Service::LakeFormation, action, resource: "*" }
}
