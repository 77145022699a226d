//! CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode,
//! UpdateFunctionConfiguration, DeleteFunction.

mod code;
mod create;
mod update;

use aws_wire::AwsError;
use serde_json::json;

use crate::lambda::error;
use crate::lambda::function::Function;
use crate::lambda::function_name::{self, LATEST};
use crate::lambda::package::Code;
use crate::lambda::request::{Answer, Call, no_content, ok};
use crate::lambda::service::Service;

pub(crate) use create::create;
pub(crate) use update::{update_code, update_configuration};

const PAGE_MAX: usize = 50;

pub(crate) fn get(service: &Service, call: &Call, name: &str) -> Answer {
    let function = find(service, call, name)?;
    let location = match &function.code {
        Code::Zip { sha256, .. } => service.fleet.packages.zip_path(sha256),
        Code::Folder { path } => path.clone(),
    };
    let mut answer = json!({
        "Configuration": function.configuration(&call.region),
        "Code": { "RepositoryType": "S3", "Location": format!("file://{}", location.display()) },
    });
    if !function.tags.is_empty() {
        answer["Tags"] = json!(function.tags);
    }
    if let Some(reserved) = function.reserved_concurrency {
        answer["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    ok(&answer)
}

pub(crate) fn get_configuration(service: &Service, call: &Call, name: &str) -> Answer {
    ok(&find(service, call, name)?.configuration(&call.region))
}

pub(crate) fn list(service: &Service, call: &Call) -> Answer {
    if let Some(version) = call.parameter("FunctionVersion").filter(|version| *version != "ALL") {
        return Err(error::constraint(version, "functionVersion", "Member must satisfy enum value set: [ALL]"));
    }
    let (after, count_max) = call.page(PAGE_MAX)?;
    let mut functions: Vec<Function> = service.store.list(&call.region.key())?;
    functions.retain(|function| after.is_none_or(|after| function.name.as_str() > after));
    let has_more = functions.len() > count_max;
    functions.truncate(count_max);
    let shown: Vec<_> = functions.iter().map(|function| function.configuration(&call.region)).collect();
    let mut answer = json!({ "Functions": shown });
    if let Some(last) = functions.last().filter(|_| has_more) {
        answer["NextMarker"] = last.name.clone().into();
    }
    ok(&answer)
}

/// Every function has one version here, the one that can be changed.
pub(crate) fn list_versions(service: &Service, call: &Call, name: &str) -> Answer {
    let mut version = find(service, call, name)?.configuration(&call.region);
    version["FunctionArn"] = format!("{}:{LATEST}", version["FunctionArn"].as_str().unwrap_or_default()).into();
    ok(&json!({ "Versions": [version] }))
}

pub(crate) fn delete(service: &Service, call: &Call, name: &str) -> Answer {
    let name = function_name::parse(&call.region, name, call.parameter("Qualifier"))?;
    if !service.store.delete::<Function>(&call.region.key(), &name)? {
        return Err(error::function_not_found(&call.region.function_arn(&name)));
    }
    let arn = call.region.function_arn(&name);
    service.fleet.end_idle(|known| known != arn);
    no_content()
}

/// The function that a path or a body names.
pub(crate) fn find(service: &Service, call: &Call, name: &str) -> Result<Function, AwsError> {
    let name = function_name::parse(&call.region, name, call.parameter("Qualifier"))?;
    let function = service.store.get(&call.region.key(), &name)?;
    function.ok_or_else(|| error::function_not_found(&call.region.function_arn(&name)))
}

/// Changes a function and gives it a new revision.
pub(crate) fn change(
    service: &Service,
    call: &Call,
    name: &str,
    revision_id: Option<&str>,
    change: impl FnOnce(&mut Function) -> Result<(), AwsError>,
) -> Result<Function, AwsError> {
    let name = function_name::parse(&call.region, name, call.parameter("Qualifier"))?;
    let changed = service.store.update(&call.region.key(), &name, |function: &mut Function| {
        if revision_id.is_some_and(|expected| expected != function.revision_id) {
            return Err(error::precondition_failed());
        }
        change(function)?;
        function.revision_id = service.ambient.uuid().to_string();
        function.last_modified_ms = service.ambient.now_ms();
        Ok(())
    })?;
    changed.ok_or_else(|| error::function_not_found(&call.region.function_arn(&name)))
}
