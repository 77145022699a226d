//! Holds principals to IAM policies, and writes down what they call: to try a policy before AWS does.
//!
//! `need` tells which actions on which resources a request asks for, `policy` whether they are allowed. Emulated: only
//! those who have a policy here are held to one, conditions are those of S3 Tables, and a table's ARN ends in `*`.

mod need;
mod policy;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

pub(crate) use need::{Asked, Need, needs};
pub use policy::{Policy, PolicyError};

/// Finds the table that a bucket holds the files of: the table bucket's ARN, the namespace and the name.
pub type Tables = Box<dyn Fn(&str) -> Option<(String, String, String)> + Send + Sync>;

/// Who is held to what.
pub struct Guard {
    /// By ARN.
    policies: BTreeMap<String, Policy>,
    /// One JSON document a call.
    calls: Mutex<File>,
    /// The tables that buckets of S3 belong to.
    tables: Tables,
    /// The streams that opaque iterators belong to.
    iterators: Mutex<HashMap<String, String>>,
}

/// Iterators are used within minutes; beyond this many, all are forgotten, and readers ask for new ones.
const ITERATORS_MAX: usize = 100_000;

impl Guard {
    /// Holds each principal, by ARN, to its policy, and appends what they call to `calls`.
    pub fn new(policies: BTreeMap<String, Policy>, calls: File, tables: Tables) -> Self {
        Self { policies, calls: Mutex::new(calls), tables, iterators: Mutex::default() }
    }

    /// The message of a refusal, where the policy of the principal does not allow all that a request needs.
    pub(crate) fn check(&self, principal: &str, asked: &Asked<'_>, parts: &Parts, body: &[u8]) -> Result<(), String> {
        let Some(policy) = self.policies.get(principal) else { return Ok(()) };
        let mut needs = needs(asked, parts, body);
        for need in &mut needs {
            if need.resource.is_empty() {
                need.resource = self.stream_of(body);
            }
            let bucket = need.resource.strip_prefix("arn:aws:s3:::").and_then(|path| path.split('/').next());
            if let Some((arn, namespace, name)) = bucket.and_then(|bucket| (self.tables)(bucket)) {
                *need = need.on_files(&arn, &namespace, &name);
            }
        }
        let denied = needs.iter().find(|need| !policy.allows(need));
        for need in &needs {
            let Need { action, resource, context } = need;
            let is_allowed = policy.allows(need);
            let call = json!({ "principal": principal, "action": action, "resource": resource, "context": context,
                               "allowed": is_allowed });
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = writeln!(calls, "{call}") {
                tracing::error!(%error, "a call could not be written down");
            }
        }
        match denied {
            None => Ok(()),
            Some(Need { action, resource, .. }) => Err(format!(
                "User: {principal} is not authorized to perform: {action} on resource: {resource} because no \
                 identity-based policy allows the {action} action"
            )),
        }
    }

    /// Remembers which stream an iterator in an answer belongs to.
    pub(crate) fn learn(&self, asked: &Asked<'_>, request: &[u8], answer: &Bytes) {
        if !matches!(asked.operation, "GetShardIterator" | "GetRecords") {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return };
        let iterator = answer["ShardIterator"].as_str().or(answer["NextShardIterator"].as_str());
        let Some(iterator) = iterator else { return };
        let body: Value = serde_json::from_slice(request).unwrap_or_default();
        let stream = match body["ShardIterator"].as_str() {
            Some(_) => self.stream_of(request),
            None => needs_stream(asked, &body),
        };
        let mut iterators = self.iterators.lock().unwrap_or_else(PoisonError::into_inner);
        if iterators.len() >= ITERATORS_MAX {
            iterators.clear();
        }
        iterators.insert(iterator.to_owned(), stream);
    }

    fn stream_of(&self, body: &[u8]) -> String {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let iterator = body["ShardIterator"].as_str().unwrap_or_default();
        self.iterators.lock().unwrap_or_else(PoisonError::into_inner).get(iterator).cloned().unwrap_or_default()
    }
}

fn needs_stream(asked: &Asked<'_>, body: &Value) -> String {
    let arn = body["StreamArn"].as_str().or(body["StreamARN"].as_str());
    match (arn, body["StreamName"].as_str()) {
        (Some(arn), _) => arn.to_owned(),
        (None, Some(name)) => asked.arn("kinesis", &format!("stream/{name}")),
        _ => String::new(),
    }
}
