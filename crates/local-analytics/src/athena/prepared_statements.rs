//! Prepared statements: kept by the API or by PREPARE, run by EXECUTE.

use aws_wire::AwsError;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::athena::execution::without_nulls;
use crate::athena::failure::invalid;
use crate::athena::{Answer, Call, executions, work_groups};
use crate::json::seconds;
use crate::store::Document;

const PAGE_MAX: usize = 50;
const BATCH_MAX: usize = 256;

/// Kept as it is here; the key is `work group/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreparedStatement {
    pub query: String,
    pub description: Option<String>,
    pub modified_ms: i64,
}

impl Document for PreparedStatement {
    const KIND: &'static str = "prepared statement";
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    statement_name: String,
    work_group: String,
    #[serde(default)]
    query_statement: String,
    description: Option<String>,
}

impl Request {
    fn key(&self) -> String {
        key(&self.work_group, &self.statement_name)
    }
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    work_groups::find(call, &request.work_group)?;
    check_name(&request.statement_name)?;
    if !call.store().insert(&call.region.key(), &request.key(), &statement(call, &request))? {
        return Err(invalid(format!("Prepared statement {} already exists", request.statement_name)));
    }
    Ok(executions::done())
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let earlier = find(call, &request)?;
    let changed = statement(call, &request);
    let changed = PreparedStatement { description: changed.description.or(earlier.description), ..changed };
    call.store().put(&call.region.key(), &request.key(), &changed)?;
    Ok(executions::done())
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let shown = shown(&request.work_group, &request.statement_name, &find(call, &request)?);
    Ok(json!({ "PreparedStatement": shown }))
}

pub(super) fn batch_get(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        prepared_statement_names: Vec<String>,
        work_group: String,
    }
    let Request { prepared_statement_names, work_group } = call.parse()?;
    if prepared_statement_names.len() > BATCH_MAX {
        return Err(invalid(format!("PreparedStatementNames must have at most {BATCH_MAX} members")));
    }
    let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
    for name in prepared_statement_names {
        match call.store().get(&call.region.key(), &key(&work_group, &name))? {
            Some(statement) => found.push(shown(&work_group, &name, &statement)),
            None => unprocessed.push(json!({
                "StatementName": name,
                "ErrorCode": "STATEMENT_NOT_FOUND",
                "ErrorMessage": "PreparedStatement was not found",
            })),
        }
    }
    Ok(json!({ "PreparedStatements": found, "UnprocessedPreparedStatementNames": unprocessed }))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    find(call, &request)?;
    call.store().delete::<PreparedStatement>(&call.region.key(), &request.key())?;
    Ok(executions::done())
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: String,
    }
    let Request { work_group } = call.parse()?;
    work_groups::find(call, &work_group)?;
    let prefix = key(&work_group, "");
    let statements = call.store().list::<PreparedStatement>(&call.region.key(), &prefix)?;
    let shown = statements.into_iter().map(|(key, statement)| {
        let name = key[prefix.len()..].to_owned();
        let summary = json!({ "StatementName": name, "LastModifiedTime": seconds(statement.modified_ms) });
        (name, summary)
    });
    super::paging::page(call, "PreparedStatements", shown.collect(), PAGE_MAX)
}

pub(super) fn key(work_group: &str, name: &str) -> String {
    format!("{work_group}/{name}")
}

fn statement(call: &Call<'_>, request: &Request) -> PreparedStatement {
    PreparedStatement {
        query: request.query_statement.clone(),
        description: request.description.clone(),
        modified_ms: call.athena.ambient.now_ms(),
    }
}

fn shown(work_group: &str, name: &str, statement: &PreparedStatement) -> Value {
    without_nulls(json!({
        "StatementName": name,
        "QueryStatement": statement.query,
        "WorkGroupName": work_group,
        "Description": statement.description,
        "LastModifiedTime": seconds(statement.modified_ms),
    }))
}

fn find(call: &Call<'_>, request: &Request) -> Result<PreparedStatement, AwsError> {
    call.store().get(&call.region.key(), &request.key())?.ok_or_else(|| not_found(&request.statement_name))
}

fn not_found(name: &str) -> AwsError {
    let message = format!("PreparedStatement {name} was not found");
    let mut error = AwsError::new(StatusCode::BAD_REQUEST, "ResourceNotFoundException", message);
    error.details.insert("ResourceName".to_owned(), name.into());
    error
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_valid = name.len() <= 256 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_@:".contains(&byte));
    if starts_well && is_valid { Ok(()) } else { Err(invalid(format!("{name} is not a valid statement name"))) }
}
