//! AWS Lake Formation: who may see what, granted and taken back.
//!
//! `resource` reads and shows what grants are on, `permissions` grants and revokes, `cells_filters` keeps data cells filters,
//! `settings` the administrators, `locations` registered places. What follows from all that is in `policy`.

mod cells_filters;
mod locations;
mod permissions;
mod resource;
mod settings;

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, RestService, rest_json_error};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::grants::{self, Grants};
use crate::json;
use crate::lakehouse::{Lakehouse, Region};
use crate::policy;
use crate::store::Store;

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LakeFormation {
    pub(crate) store: Arc<Store>,
    pub(crate) lakehouse: Arc<dyn Lakehouse>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) ambient: Ambient,
}

/// A request, taken apart.
struct Call<'a> {
    service: &'a LakeFormation,
    caller: &'a Caller,
    region: Region,
    body: &'a [u8],
}

type Answer = Result<Value, AwsError>;

#[async_trait]
impl RestService for LakeFormation {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes> {
        let (service, owned) = (self.clone(), caller.clone());
        let answer = tokio::task::spawn_blocking(move || {
            let call = Call { service: &service, caller: &owned, region: json::region(&owned), body: request.body() };
            route(&call, request.method(), request.uri().path())
        });
        let answer = answer.await.unwrap_or_else(|panic| Err(json::internal("InternalServiceException", &panic)));
        match answer {
            Ok(value) => Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(value.to_string().into())
                .expect("the parts of a response are well-formed"),
            Err(error) => rest_json_error(&error, &caller.request_id),
        }
    }
}

fn route(call: &Call<'_>, method: &Method, path: &str) -> Answer {
    let operation = if *method == Method::POST { path.trim_start_matches('/') } else { "" };
    match operation {
        "GrantPermissions" => permissions::grant(call),
        "RevokePermissions" => permissions::revoke(call),
        "BatchGrantPermissions" => permissions::batch_grant(call),
        "BatchRevokePermissions" => permissions::batch_revoke(call),
        "ListPermissions" => permissions::list(call),
        "GetEffectivePermissionsForPath" => permissions::for_path(call),
        "PutDataLakeSettings" => settings::put(call),
        "GetDataLakeSettings" => settings::get(call),
        "GetDataLakePrincipal" => settings::principal(call),
        "CreateDataCellsFilter" => cells_filters::create(call),
        "GetDataCellsFilter" => cells_filters::get(call),
        "UpdateDataCellsFilter" => cells_filters::update(call),
        "DeleteDataCellsFilter" => cells_filters::delete(call),
        "ListDataCellsFilter" => cells_filters::list(call),
        "RegisterResource" => locations::register(call),
        "UpdateResource" => locations::update(call),
        "DeregisterResource" => locations::deregister(call),
        "DescribeResource" => locations::describe(call),
        "ListResources" => locations::list(call),
        _ => Err(AwsError::bad_request(
            "UnknownOperationException",
            format!("{method} {path} is not an operation of Lake Formation that this endpoint serves"),
        )),
    }
}

impl Call<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        json::parse(self.body)
    }

    fn is_administrator(&self) -> Result<bool, AwsError> {
        let policy = self.service.grants.policy(&self.region)?;
        Ok(policy::is_administrator(&policy, grants::principal(&self.caller.identity)))
    }

    fn administrators_only(&self) -> Result<(), AwsError> {
        if self.is_administrator()? { Ok(()) } else { Err(denied("Insufficient Lake Formation permission(s)")) }
    }
}

fn denied(message: impl Into<String>) -> AwsError {
    AwsError::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidInputException", message)
}

fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("EntityNotFoundException", message)
}
