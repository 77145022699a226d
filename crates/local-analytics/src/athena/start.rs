//! StartQueryExecution: what is asked is checked and written down; then it runs on its own.

use aws_wire::AwsError;
use object_store::path::Path;
use serde::Deserialize;
use serde_json::json;

use crate::athena::execution::{Asked, Execution, State};
use crate::athena::failure::{invalid, too_many};
use crate::athena::work_groups::{self, WorkGroup};
use crate::athena::{Answer, Call, data_catalogs, executions, run, statement};
use crate::store::ExecutionRow;

const QUERY_CHARACTERS_MAX: usize = 262_144;
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 32..=128;
const REUSE_MINUTES_MAX: i64 = 10_080;
const REUSE_MINUTES_DEFAULT: i64 = 60;
/// Queries that wait and run, all callers together.
const ACTIVE_MAX: usize = 200;
/// How far back a result to reuse is searched for.
const REUSE_CANDIDATES_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    query_string: String,
    client_request_token: Option<String>,
    #[serde(default)]
    query_execution_context: Context,
    #[serde(default)]
    result_configuration: ResultConfiguration,
    work_group: Option<String>,
    #[serde(default)]
    execution_parameters: Vec<String>,
    #[serde(default)]
    result_reuse_configuration: ResultReuse,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    database: Option<String>,
    catalog: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultConfiguration {
    output_location: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultReuse {
    result_reuse_by_age_configuration: Option<ReuseByAge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReuseByAge {
    enabled: bool,
    max_age_in_minutes: Option<i64>,
}

pub(super) fn start(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    check(&request)?;
    let work_group_name = request.work_group.as_deref().unwrap_or(work_groups::PRIMARY);
    let work_group = work_groups::enabled(call, work_group_name)?;
    let reuse_minutes = reuse_minutes(&request)?;
    let asked = Asked {
        query: request.query_string,
        catalog: request.query_execution_context.catalog,
        database: request.query_execution_context.database.map(|database| database.to_lowercase()),
        work_group: work_group_name.to_owned(),
        parameters: request.execution_parameters,
        output: request.result_configuration.output_location,
    };
    let folder = output_folder(call, &asked, &work_group)?;
    let context = context(call, &asked, &work_group)?;
    if run::active_count(call.athena) >= ACTIVE_MAX {
        return Err(too_many());
    }

    let id = call.athena.ambient.uuid().to_string();
    let (statement_type, substatement) = statement::classify(&asked.query);
    let mut execution = Execution {
        output_location: format!("{folder}{id}.{}", statement_type.extension()),
        id,
        region: call.region.key(),
        owner: call.caller.identity.arn.clone(),
        asked,
        statement_type,
        substatement,
        reuse_minutes,
        is_reused: false,
        state: State::Queued,
        reason: None,
        error: None,
        submitted_ms: call.athena.ambient.now_ms(),
        started_ms: None,
        completed_ms: None,
        bytes_scanned: 0,
        row_count: 0,
        update_count: None,
        manifest_location: None,
        output_bytes: 0,
        columns: Vec::new(),
        policy_version: call.athena.policy_version(),
    };
    if let Some(earlier) = reusable(call, &execution)? {
        reuse(&mut execution, earlier);
    }
    let row = ExecutionRow {
        id: &execution.id,
        region: &execution.region,
        work_group: &execution.asked.work_group,
        token: request.client_request_token.as_deref(),
        is_done: execution.is_done(),
        body: executions::to_json(&execution)?,
    };
    if let Some(earlier) = call.store().start_execution(&row)? {
        let earlier = executions::from_json(&earlier)?;
        if earlier.asked != execution.asked || earlier.owner != execution.owner {
            return Err(invalid("Idempotent parameters do not match"));
        }
        return Ok(json!({ "QueryExecutionId": earlier.id }));
    }
    let id = execution.id.clone();
    if !execution.is_done() {
        run::spawn(call.athena, call.region.clone(), call.caller.identity.clone(), execution, context);
    }
    Ok(json!({ "QueryExecutionId": id }))
}

fn check(request: &Request) -> Result<(), AwsError> {
    if request.query_string.trim().is_empty() {
        return Err(invalid("QueryString must not be empty"));
    }
    if request.query_string.chars().count() > QUERY_CHARACTERS_MAX {
        return Err(invalid(format!("QueryString must have at most {QUERY_CHARACTERS_MAX} characters")));
    }
    match &request.client_request_token {
        Some(token) if !TOKEN_LENGTH.contains(&token.len()) => {
            Err(invalid("ClientRequestToken must have 32 to 128 characters"))
        }
        _ => Ok(()),
    }
}

/// The folder for results, with a slash at its end. A work group that enforces its settings overrules the caller.
fn output_folder(call: &Call<'_>, asked: &Asked, work_group: &WorkGroup) -> Result<String, AwsError> {
    let own = asked.output.as_ref().filter(|_| !work_group.is_enforced);
    let Some(location) = own.or(work_group.output_location.as_ref()) else {
        return Err(invalid(
            "No output location provided. An output location is required either through the Workgroup result \
             configuration setting or as an API input.",
        ));
    };
    let (bucket, prefix) = parse_location(location)?;
    // Tables keep their files to themselves.
    let is_table = bucket.ends_with("--table-s3");
    if is_table || call.athena.lakehouse.objects(&bucket).is_none() {
        return Err(invalid(format!("Unable to verify/create output bucket {bucket}")));
    }
    let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
    Ok(format!("s3://{bucket}/{prefix}"))
}

/// Bucket and key prefix of `s3://bucket/prefix/`.
pub(super) fn parse_location(location: &str) -> Result<(String, String), AwsError> {
    let wrong = || invalid(format!("outputLocation is not a valid S3 path: {location}. Try: s3://bucket-name/prefix/"));
    let (bucket, prefix) =
        location.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(wrong)?;
    let prefix = Path::parse(prefix).map_err(|_| wrong())?;
    if bucket.is_empty() {
        return Err(wrong());
    }
    Ok((bucket.to_owned(), prefix.to_string()))
}

/// Where the query's names are looked up first. A database that does not exist is found out when it runs.
fn context(call: &Call<'_>, asked: &Asked, work_group: &WorkGroup) -> Result<query::Context, AwsError> {
    data_catalogs::resolve(call, asked.catalog.as_deref())?;
    let bytes_read_max = work_group.bytes_scanned_cutoff_per_query;
    Ok(query::Context { catalog: asked.catalog.clone(), database: asked.database.clone(), bytes_read_max })
}

fn reuse_minutes(request: &Request) -> Result<Option<i64>, AwsError> {
    let by_age = request.result_reuse_configuration.result_reuse_by_age_configuration.as_ref();
    let minutes =
        by_age.filter(|by_age| by_age.enabled).map(|by_age| by_age.max_age_in_minutes.unwrap_or(REUSE_MINUTES_DEFAULT));
    match minutes {
        Some(minutes) if !(0..=REUSE_MINUTES_MAX).contains(&minutes) => {
            Err(invalid(format!("MaxAgeInMinutes must be from 0 to {REUSE_MINUTES_MAX}")))
        }
        minutes => Ok(minutes),
    }
}

/// An earlier result that answers the same, if the caller takes one of its age. What grants allow may not have changed.
fn reusable(call: &Call<'_>, execution: &Execution) -> Result<Option<Execution>, AwsError> {
    // What a statement changes, it changes again.
    let is_query = execution.substatement == "SELECT";
    let Some(minutes) = execution.reuse_minutes.filter(|_| is_query) else { return Ok(None) };
    let oldest = execution.submitted_ms - minutes * 60_000;
    let rows =
        call.store().executions(&execution.region, &execution.asked.work_group, i64::MAX, REUSE_CANDIDATES_MAX)?;
    for (_, body) in rows {
        let earlier = executions::from_json(&body)?;
        let is_same = earlier.asked == execution.asked
            && earlier.owner == execution.owner
            && earlier.policy_version == execution.policy_version;
        let is_fresh = earlier.completed_ms.is_some_and(|completed| completed >= oldest);
        if is_same && is_fresh && earlier.state == State::Succeeded && !earlier.is_reused {
            return Ok(Some(earlier));
        }
    }
    Ok(None)
}

fn reuse(execution: &mut Execution, earlier: Execution) {
    let now = execution.submitted_ms;
    execution.output_location = earlier.output_location;
    execution.columns = earlier.columns;
    execution.row_count = earlier.row_count;
    execution.output_bytes = earlier.output_bytes;
    execution.is_reused = true;
    execution.state = State::Succeeded;
    execution.started_ms = Some(now);
    execution.completed_ms = Some(now);
}
