//! UpdateFunctionCode and UpdateFunctionConfiguration.

use serde::Deserialize;

use super::code::{CODE, CodeSource};
use super::{change, find};
use crate::lambda::function::check_role;
use crate::lambda::request::{Answer, Call, ok};
use crate::lambda::service::{Service, blocking};
use crate::lambda::settings_change::{SETTINGS, SettingsChange};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CodeRequest {
    #[serde(flatten)]
    source: CodeSource,
    #[serde(default)]
    dry_run: bool,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigurationRequest {
    role: Option<String>,
    revision_id: Option<String>,
    #[serde(flatten)]
    settings: SettingsChange,
}

pub(crate) async fn update_code(service: &Service, call: &Call, name: &str) -> Answer {
    let served: Vec<&str> = ["DryRun", "RevisionId"].into_iter().chain(CODE).collect();
    let request: CodeRequest = call.body(&served)?;
    let mut function = find(service, call, name)?;
    let code = request.source.keep(service).await?;
    if request.dry_run {
        function.code = code;
        return ok(&function.configuration(&call.region));
    }
    let (owned, call_owned, name) = (service.clone(), call.clone(), name.to_owned());
    let changed = blocking(move || {
        change(&owned, &call_owned, &name, request.revision_id.as_deref(), |function| {
            function.code = code;
            Ok(())
        })
    });
    ok(&changed.await?.configuration(&call.region))
}

pub(crate) fn update_configuration(service: &Service, call: &Call, name: &str) -> Answer {
    let served: Vec<&str> = ["Role", "RevisionId"].into_iter().chain(SETTINGS).collect();
    let request: ConfigurationRequest = call.body(&served)?;
    let changed = change(service, call, name, request.revision_id.as_deref(), |function| {
        if let Some(role) = request.role {
            check_role(&role)?;
            function.role = role;
        }
        request.settings.apply(&mut function.settings)?;
        function.settings.check_complete()
    })?;
    ok(&changed.configuration(&call.region))
}
