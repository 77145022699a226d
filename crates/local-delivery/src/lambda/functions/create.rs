//! CreateFunction.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::code::{CODE, CodeSource};
use crate::lambda::error;
use crate::lambda::function::{Function, check_role};
use crate::lambda::function_name;
use crate::lambda::request::{Answer, Call, check_tags, json};
use crate::lambda::service::{Service, blocking};
use crate::lambda::settings::Settings;
use crate::lambda::settings_change::{SETTINGS, SettingsChange};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    function_name: String,
    role: String,
    #[serde(default)]
    code: Map<String, Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(flatten)]
    settings: SettingsChange,
}

pub(crate) async fn create(service: &Service, call: &Call) -> Answer {
    let served: Vec<&str> = ["FunctionName", "Role", "Code", "Tags"].into_iter().chain(SETTINGS).collect();
    let request: Request = call.body(&served)?;
    let name = function_name::parse(&call.region, &request.function_name, None)?;
    check_role(&request.role)?;
    check_tags(&request.tags)?;
    let mut settings = Settings::default();
    request.settings.apply(&mut settings)?;
    settings.check_complete()?;
    if service.store.get::<Function>(&call.region.key(), &name)?.is_some() {
        return Err(exists(&name));
    }
    let code = code_source(request.code)?.keep(service).await?;
    let function = Function {
        name,
        role: request.role,
        settings,
        code,
        tags: request.tags,
        reserved_concurrency: None,
        last_modified_ms: service.ambient.now_ms(),
        revision_id: service.ambient.uuid().to_string(),
    };
    let (store, region, kept) = (service.store.clone(), call.region.key(), function.clone());
    let is_new = blocking(move || Ok(store.insert(&region, &kept.name, &kept)?)).await?;
    if !is_new {
        return Err(exists(&function.name));
    }
    json(StatusCode::CREATED, &function.configuration(&call.region))
}

/// Reads `Code`, of which nothing may be ignored either.
fn code_source(members: Map<String, Value>) -> Result<CodeSource, AwsError> {
    if let Some(member) = members.keys().find(|member| !CODE.contains(&member.as_str())) {
        return Err(error::not_served(&format!("Code.{member}"), "ZipFile, or S3Bucket and S3Key"));
    }
    serde_json::from_value(Value::Object(members)).map_err(|error| error::invalid(format!("Code: {error}")))
}

fn exists(name: &str) -> AwsError {
    error::conflict(format!("Function already exist: {name}"))
}
