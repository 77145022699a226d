//! The rights that a pipeline needs, and no more: as IAM policies.

mod apply;
mod query;
mod run;

use serde::Serialize;
use serde_json::{Value, json};

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `plan`, `apply` and `destroy`.
    Apply,
    /// `run`, `dlq` and `maintain`.
    Run,
    /// `sql`.
    Query,
}

/// What a pipeline touches, by name.
#[derive(Clone, Debug)]
pub struct Touched {
    pub region: String,
    /// Twelve digits.
    pub account: String,
    pub source_table: String,
    /// The Kinesis stream that it reads, or, where it reads the table's own, the one that it would read.
    pub kinesis_stream: String,
    pub reads_kinesis: bool,
    /// The consumer to which that stream is pushed.
    pub consumer: Option<String>,
    /// The table bucket's ARN.
    pub table_bucket: String,
    pub namespace: String,
    pub table: String,
    /// Bucket and prefix of dead letters.
    pub letters: Option<(String, String)>,
    pub queue: Option<String>,
    /// The ARN of the function that records pass through.
    pub function: Option<String>,
}

/// One statement, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub sid: &'static str,
    pub reason: &'static str,
    pub actions: Vec<String>,
    pub resource: String,
    /// Whether it is limited to the pipeline's table by name, as the id in a table's ARN is not known before it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<(String, String)>,
}

impl Statement {
    fn new(sid: &'static str, reason: &'static str, service: &str, actions: &[&str], resource: String) -> Self {
        let actions = actions.iter().map(|action| format!("{service}:{action}")).collect();
        Self { sid, reason, actions, resource, table: None }
    }
}

/// The policy document of statements.
pub fn document(statements: &[Statement]) -> Value {
    let statement = |statement: &Statement| {
        let Statement { sid, actions, resource, table, .. } = statement;
        let mut json = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource });
        if let Some((namespace, name)) = table {
            let equals = json!({ "s3tables:namespace": namespace, "s3tables:tableName": name });
            json["Condition"] = json!({ "StringEquals": equals });
        }
        json
    };
    json!({ "Version": "2012-10-17", "Statement": statements.iter().map(statement).collect::<Vec<Value>>() })
}

/// What `purpose` takes.
pub fn statements(touched: &Touched, purpose: Purpose) -> Vec<Statement> {
    match purpose {
        Purpose::Apply => apply::statements(touched),
        Purpose::Run => run::statements(touched),
        Purpose::Query => query::statements(touched),
    }
}

impl Touched {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    fn source(&self) -> String {
        self.arn("dynamodb", &format!("table/{}", self.source_table))
    }

    pub(crate) fn stream(&self) -> String {
        match self.kinesis_stream.starts_with("arn:") {
            true => self.kinesis_stream.clone(),
            false => self.arn("kinesis", &format!("stream/{}", self.kinesis_stream)),
        }
    }

    fn on_table(&self, sid: &'static str, reason: &'static str, actions: &[&str]) -> Statement {
        let statement = Statement::new(sid, reason, "s3tables", actions, format!("{}/table/*", self.table_bucket));
        Statement { table: Some((self.namespace.clone(), self.table.clone())), ..statement }
    }
}

fn invoke(touched: &Touched, reason: &'static str) -> Option<Statement> {
    let function = touched.function.clone()?;
    Some(Statement::new("CallFunction", reason, "lambda", &["InvokeFunction"], function))
}
