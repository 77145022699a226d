//! PutFunctionConcurrency, GetFunctionConcurrency, DeleteFunctionConcurrency, GetAccountSettings.

use serde::Deserialize;
use serde_json::json;

use crate::lambda::error;
use crate::lambda::fleet::CONCURRENCY_MAX;
use crate::lambda::function::Function;
use crate::lambda::functions::{change, find};
use crate::lambda::package::Code;
use crate::lambda::request::{Answer, Call, no_content, ok};
use crate::lambda::service::Service;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest {
    reserved_concurrent_executions: i64,
}

pub(crate) fn put(service: &Service, call: &Call, name: &str) -> Answer {
    let request: PutRequest = call.body(&["ReservedConcurrentExecutions"])?;
    let reserved = request.reserved_concurrent_executions;
    let max = u32::try_from(reserved).ok().filter(|reserved| *reserved <= CONCURRENCY_MAX).ok_or_else(|| {
        error::invalid(format!("ReservedConcurrentExecutions must be between 0 and {CONCURRENCY_MAX}, not {reserved}"))
    })?;
    change(service, call, name, None, |function| {
        function.reserved_concurrency = Some(max);
        Ok(())
    })?;
    ok(&json!({ "ReservedConcurrentExecutions": max }))
}

pub(crate) fn get(service: &Service, call: &Call, name: &str) -> Answer {
    ok(&match find(service, call, name)?.reserved_concurrency {
        Some(max) => json!({ "ReservedConcurrentExecutions": max }),
        None => json!({}),
    })
}

pub(crate) fn delete(service: &Service, call: &Call, name: &str) -> Answer {
    change(service, call, name, None, |function| {
        function.reserved_concurrency = None;
        Ok(())
    })?;
    no_content()
}

pub(crate) fn account_settings(service: &Service, call: &Call) -> Answer {
    let functions: Vec<Function> = service.store.list(&call.region.key())?;
    let reserved: u32 = functions.iter().filter_map(|function| function.reserved_concurrency).sum();
    let bytes = |function: &Function| match &function.code {
        Code::Zip { bytes, .. } => *bytes,
        Code::Folder { .. } => 0,
    };
    ok(&json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": CONCURRENCY_MAX,
            "UnreservedConcurrentExecutions": CONCURRENCY_MAX.saturating_sub(reserved),
        },
        "AccountUsage": {
            "TotalCodeSize": functions.iter().map(bytes).sum::<u64>(),
            "FunctionCount": functions.len(),
        },
    }))
}
