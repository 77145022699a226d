//! Grants: made, taken back, listed.

use std::collections::BTreeSet;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lake_formation::resource::{self, Resource};
use crate::lake_formation::{Answer, Call, denied, invalid};
use crate::policy::{EVERYBODY, Grant, Granted, Permission};
use crate::store::Store;

const PAGE_MAX: usize = 1_000;
const BATCH_MAX: usize = 20;

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PrincipalName {
    data_lake_principal_identifier: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    principal: PrincipalName,
    resource: Resource,
    #[serde(default)]
    permissions: BTreeSet<Permission>,
    #[serde(default)]
    permissions_with_grant_option: BTreeSet<Permission>,
}

pub(super) fn grant(call: &Call<'_>) -> Answer {
    apply(call, &call.parse()?, add)
}

pub(super) fn revoke(call: &Call<'_>) -> Answer {
    apply(call, &call.parse()?, remove)
}

pub(super) fn batch_grant(call: &Call<'_>) -> Answer {
    batch(call, add)
}

pub(super) fn batch_revoke(call: &Call<'_>) -> Answer {
    batch(call, remove)
}

/// What becomes of a grant.
type Change = fn(&mut Grant, &Entry) -> Result<(), AwsError>;

fn add(grant: &mut Grant, entry: &Entry) -> Result<(), AwsError> {
    grant.permissions.extend(&entry.permissions);
    grant.permissions.extend(&entry.permissions_with_grant_option);
    grant.grantable.extend(&entry.permissions_with_grant_option);
    Ok(())
}

fn remove(grant: &mut Grant, entry: &Entry) -> Result<(), AwsError> {
    let revoked = entry.permissions.iter().chain(&entry.permissions_with_grant_option);
    if revoked.clone().any(|permission| !grant.permissions.contains(permission)) {
        return Err(invalid("No permissions revoked. Grantee does not have the permissions on the resource"));
    }
    grant.permissions.retain(|permission| !entry.permissions.contains(permission));
    grant.grantable.retain(|permission| {
        !entry.permissions.contains(permission) && !entry.permissions_with_grant_option.contains(permission)
    });
    Ok(())
}

fn apply(call: &Call<'_>, entry: &Entry, change: Change) -> Answer {
    let principal = &entry.principal.data_lake_principal_identifier;
    check_principal(principal)?;
    let granted = entry.resource.find(call)?;
    check_permissions(&granted, entry)?;
    check_may_grant(call, &granted, entry)?;
    let region = call.region.key();
    let key = key(principal, &granted)?;
    call.service.grants.change(&call.region, |store: &Store| {
        let mut grant = store.get::<Grant>(&region, &key)?.unwrap_or_else(|| Grant {
            principal: principal.clone(),
            resource: granted.clone(),
            permissions: BTreeSet::new(),
            grantable: BTreeSet::new(),
        });
        change(&mut grant, entry)?;
        if grant.permissions.is_empty() {
            store.delete::<Grant>(&region, &key)?;
        } else {
            store.put(&region, &key, &grant)?;
        }
        Ok::<_, AwsError>(())
    })?;
    let who = &call.caller.identity.arn;
    tracing::info!(target: "audit", by = %who, %principal, ?granted, permissions = ?entry.permissions, "grants changed");
    Ok(json!({}))
}

fn batch(call: &Call<'_>, change: Change) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        entries: Vec<Value>,
    }
    let Request { entries } = call.parse()?;
    if entries.len() > BATCH_MAX {
        return Err(invalid(format!("Entries must have at most {BATCH_MAX} members")));
    }
    let mut failures = Vec::new();
    for entry in entries {
        let parsed = serde_json::from_value(entry.clone()).map_err(|error| invalid(error.to_string()));
        if let Err(error) = parsed.and_then(|parsed| apply(call, &parsed, change)) {
            let error = json!({ "ErrorCode": error.code, "ErrorMessage": error.message });
            failures.push(json!({ "RequestEntry": entry, "Error": error }));
        }
    }
    Ok(json!({ "Failures": failures }))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        principal: Option<PrincipalName>,
        resource_type: Option<String>,
        resource: Option<Resource>,
    }
    let request: Request = call.parse()?;
    let on = request.resource.map(|resource| resource.find(call)).transpose()?;
    let of = request.principal.map(|principal| principal.data_lake_principal_identifier);
    page(call, "PrincipalResourcePermissions", |grant| {
        let is_kind = request.resource_type.as_deref().is_none_or(|kind| kind == resource::kind(&grant.resource));
        let is_on = on.as_ref().is_none_or(|on| is_within(&grant.resource, on));
        is_kind && is_on && of.as_ref().is_none_or(|of| *of == grant.principal)
    })
}

pub(super) fn for_path(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        resource_arn: String,
    }
    let Request { resource_arn } = call.parse()?;
    let at_location =
        |arn: &str| resource_arn == arn || resource_arn.starts_with(&format!("{}/", arn.trim_end_matches('/')));
    page(call, "Permissions", |grant| matches!(&grant.resource, Granted::DataLocation { arn } if at_location(arn)))
}

/// The grants that the caller may know of and `is_meant` picks.
fn page(call: &Call<'_>, name: &str, is_meant: impl Fn(&Grant) -> bool) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        next_token: Option<String>,
        max_results: Option<usize>,
    }
    let Page { next_token, max_results } = call.parse()?;
    let count_max = max_results.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let start: usize = match next_token.as_deref() {
        None | Some("") => 0,
        Some(token) => token.parse().map_err(|_| invalid("NextToken is not one of this list"))?,
    };
    let sees_all = call.is_administrator()?;
    let own = &call.caller.identity.arn;
    let policy = call.service.grants.policy(&call.region)?;
    let may_see = |grant: &&Grant| sees_all || grant.principal == *own || grant.principal == EVERYBODY;
    let meant: Vec<&Grant> = policy.grants.iter().filter(may_see).filter(|grant| is_meant(grant)).collect();
    let shown = meant.iter().skip(start).take(count_max).map(|grant| {
        json!({
            "Principal": { "DataLakePrincipalIdentifier": grant.principal },
            "Resource": resource::shown(&grant.resource, &call.region.account_id),
            "Permissions": grant.permissions,
            "PermissionsWithGrantOption": grant.grantable,
        })
    });
    let mut answer = json!({});
    answer[name] = shown.collect();
    if start + count_max < meant.len() {
        answer["NextToken"] = (start + count_max).to_string().into();
    }
    Ok(answer)
}

/// Tells whether a grant belongs to what is asked for: a table's column lists and filters are its own.
fn is_within(of: &Granted, asked: &Granted) -> bool {
    let table = match asked {
        Granted::Table(table) => table,
        other => return of == other,
    };
    match of {
        Granted::Table(id) | Granted::Columns(id, _) | Granted::AllColumnsBut(id, _) => id == table,
        Granted::CellsFilter(id, _) => id == table,
        _ => false,
    }
}

/// Administrators may grant anything; others what they hold with the grant option.
fn check_may_grant(call: &Call<'_>, granted: &Granted, entry: &Entry) -> Result<(), AwsError> {
    if call.is_administrator()? {
        return Ok(());
    }
    let policy = call.service.grants.policy(&call.region)?;
    let own = policy.grants.iter().filter(|grant| grant.principal == call.caller.identity.arn);
    let held: BTreeSet<Permission> = (own
        .filter(|grant| grant.resource == *granted || is_within(granted, &grant.resource)))
    .flat_map(|grant| grant.grantable.iter().copied())
    .collect();
    let mut asked = entry.permissions.iter().chain(&entry.permissions_with_grant_option);
    if asked.all(|permission| held.contains(permission) || held.contains(&Permission::All)) {
        return Ok(());
    }
    Err(denied("Insufficient Lake Formation permission(s): you lack the grant option on the resource"))
}

fn check_permissions(granted: &Granted, entry: &Entry) -> Result<(), AwsError> {
    use Permission::{
        All, Alter, CreateCatalog, CreateDatabase, CreateTable, DataLocationAccess, Delete, Describe, Drop, Insert,
        Select, SuperUser,
    };
    let allowed: &[Permission] = match granted {
        Granted::Catalog { .. } => &[All, Alter, CreateCatalog, CreateDatabase, Describe, Drop, SuperUser],
        Granted::Database { .. } => &[All, Alter, CreateTable, Describe, Drop],
        Granted::Table(_) | Granted::AllTables { .. } => &[All, Alter, Delete, Describe, Drop, Insert, Select],
        Granted::Columns(..) | Granted::AllColumnsBut(..) => &[Select],
        Granted::CellsFilter(..) => &[Describe, Select],
        Granted::DataLocation { .. } => &[DataLocationAccess],
    };
    let mut asked = entry.permissions.iter().chain(&entry.permissions_with_grant_option);
    if entry.permissions.is_empty() && entry.permissions_with_grant_option.is_empty() {
        return Err(invalid("Permissions must not be empty"));
    }
    match asked.find(|permission| !allowed.contains(permission)) {
        Some(permission) => Err(invalid(format!(
            "Permissions modification is invalid: {} cannot be granted on a resource of type {}",
            json!(permission).as_str().unwrap_or_default(),
            resource::kind(granted)
        ))),
        None => Ok(()),
    }
}

fn check_principal(principal: &str) -> Result<(), AwsError> {
    let is_known =
        principal == EVERYBODY || principal.starts_with("arn:aws:iam::") || principal.ends_with(":IAMPrincipals");
    if is_known {
        return Ok(());
    }
    Err(invalid(format!("Invalid principal: {principal}. Try: arn:aws:iam::ACCOUNT:user/NAME or {EVERYBODY}")))
}

fn key(principal: &str, granted: &Granted) -> Result<String, AwsError> {
    let granted =
        serde_json::to_string(granted).map_err(|error| crate::json::internal("InternalServiceException", &error))?;
    Ok(format!("{principal} {granted}"))
}
