//! Queries that are kept under an id of their own.

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::athena::execution::without_nulls;
use crate::athena::failure::invalid;
use crate::athena::{Answer, Call, executions, work_groups};
use crate::store::Document;

const BATCH_MAX: usize = 50;

/// Kept as it is here; the id is the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedQuery {
    name: String,
    description: Option<String>,
    database: String,
    query_string: String,
    work_group: Option<String>,
}

impl Document for NamedQuery {
    const KIND: &'static str = "named query";
}

/// The id that a token has led to.
#[derive(Serialize, Deserialize)]
struct Created {
    id: String,
}

impl Document for Created {
    const KIND: &'static str = "token of a named query";
}

impl NamedQuery {
    fn shown(&self, id: &str) -> Value {
        without_nulls(json!({
            "NamedQueryId": id,
            "Name": self.name,
            "Description": self.description,
            "Database": self.database,
            "QueryString": self.query_string,
            "WorkGroup": self.group(),
        }))
    }

    fn group(&self) -> &str {
        self.work_group.as_deref().unwrap_or(work_groups::PRIMARY)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ById {
    named_query_id: String,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        #[serde(flatten)]
        query: NamedQuery,
        client_request_token: Option<String>,
    }
    let Request { query, client_request_token } = call.parse()?;
    work_groups::find(call, query.group())?;
    let id = call.athena.ambient.uuid().to_string();
    let region = call.region.key();
    if let Some(token) = client_request_token
        && !call.store().insert(&region, &token, &Created { id: id.clone() })?
        && let Some(earlier) = call.store().get::<Created>(&region, &token)?
        && let Some(kept) = call.store().get::<NamedQuery>(&region, &earlier.id)?
    {
        let is_same = kept == query;
        return if is_same {
            Ok(json!({ "NamedQueryId": earlier.id }))
        } else {
            Err(invalid("Idempotent parameters do not match"))
        };
    }
    call.store().put(&region, &id, &query)?;
    Ok(json!({ "NamedQueryId": id }))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let ById { named_query_id } = call.parse()?;
    Ok(json!({ "NamedQuery": find(call, &named_query_id)?.shown(&named_query_id) }))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        named_query_id: String,
        name: String,
        description: Option<String>,
        query_string: String,
    }
    let Request { named_query_id, name, description, query_string } = call.parse()?;
    let earlier = find(call, &named_query_id)?;
    let description = description.or(earlier.description.clone());
    let changed = NamedQuery { name, description, query_string, ..earlier };
    call.store().put(&call.region.key(), &named_query_id, &changed)?;
    Ok(executions::done())
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let ById { named_query_id } = call.parse()?;
    find(call, &named_query_id)?;
    call.store().delete::<NamedQuery>(&call.region.key(), &named_query_id)?;
    Ok(executions::done())
}

pub(super) fn batch_get(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        named_query_ids: Vec<String>,
    }
    let Request { named_query_ids } = call.parse()?;
    if !(1..=BATCH_MAX).contains(&named_query_ids.len()) {
        return Err(invalid(format!("NamedQueryIds must have 1 to {BATCH_MAX} members")));
    }
    let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
    for id in named_query_ids {
        match call.store().get::<NamedQuery>(&call.region.key(), &id)? {
            Some(query) => found.push(query.shown(&id)),
            None => unprocessed.push(json!({
                "NamedQueryId": id,
                "ErrorCode": "INVALID_NAMED_QUERY_ID",
                "ErrorMessage": format!("NamedQuery {id} was not found"),
            })),
        }
    }
    Ok(json!({ "NamedQueries": found, "UnprocessedNamedQueryIds": unprocessed }))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: Option<String>,
    }
    let Request { work_group } = call.parse()?;
    let group = work_group.as_deref().unwrap_or(work_groups::PRIMARY);
    work_groups::find(call, group)?;
    let queries = call.store().list::<NamedQuery>(&call.region.key(), "")?;
    let ids = queries.into_iter().filter(|(_, query)| query.group() == group).map(|(id, _)| (id.clone(), id.into()));
    super::paging::page(call, "NamedQueryIds", ids.collect(), BATCH_MAX)
}

fn find(call: &Call<'_>, id: &str) -> Result<NamedQuery, AwsError> {
    let found = call.store().get(&call.region.key(), id)?;
    found.ok_or_else(|| invalid(format!("NamedQuery {id} was not found")))
}
