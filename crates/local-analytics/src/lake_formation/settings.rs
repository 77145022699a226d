//! Who administers the data lake.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::grants::{SETTINGS, Settings};
use crate::lake_formation::{Answer, Call, invalid};
use crate::policy::EVERYBODY;
use crate::store::{Store, StoreError};

const ADMINISTRATORS_MAX: usize = 30;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    data_lake_settings: Map<String, Value>,
}

/// Replaces the settings as a whole, as AWS does.
pub(super) fn put(call: &Call<'_>) -> Answer {
    let Request { data_lake_settings: mut others } = call.parse()?;
    call.administrators_only()?;
    let mut principals = |name: &str| -> Result<Vec<String>, aws_wire::AwsError> {
        let listed = others.remove(name).unwrap_or_else(|| json!([]));
        let identifier = |member: &Value| member["DataLakePrincipalIdentifier"].as_str().map(str::to_owned);
        let identifiers: Option<Vec<String>> = listed.as_array().into_iter().flatten().map(identifier).collect();
        match identifiers {
            Some(identifiers) if identifiers.len() <= ADMINISTRATORS_MAX => Ok(identifiers),
            _ => Err(invalid(format!("{name} must be at most {ADMINISTRATORS_MAX} principals"))),
        }
    };
    let administrators = principals("DataLakeAdmins")?;
    let read_only_administrators = principals("ReadOnlyAdmins")?;
    let settings = Settings { administrators, read_only_administrators, others };
    call.service.grants.change(&call.region, |store: &Store| {
        store.put(&call.region.key(), SETTINGS, &settings)?;
        Ok::<_, StoreError>(())
    })?;
    Ok(json!({}))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let settings: Settings = call.service.store.get(&call.region.key(), SETTINGS)?.unwrap_or_default();
    let principals = |arns: &[String]| -> Vec<Value> {
        arns.iter().map(|arn| json!({ "DataLakePrincipalIdentifier": arn })).collect()
    };
    let mut shown = settings.others;
    let everybody = json!([{ "Principal": { "DataLakePrincipalIdentifier": EVERYBODY }, "Permissions": ["ALL"] }]);
    for name in ["CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions"] {
        shown.entry(name).or_insert_with(|| everybody.clone());
    }
    shown.entry("TrustedResourceOwners").or_insert_with(|| json!([]));
    shown.insert("DataLakeAdmins".into(), principals(&settings.administrators).into());
    shown.insert("ReadOnlyAdmins".into(), principals(&settings.read_only_administrators).into());
    Ok(json!({ "DataLakeSettings": shown }))
}

pub(super) fn principal(call: &Call<'_>) -> Answer {
    Ok(json!({ "Identity": call.caller.identity.arn }))
}
