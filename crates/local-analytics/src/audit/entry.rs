//! A line of the audit log. Members are only ever added: people's programs read them.

use aws_wire::{Action, Columns, Decision, Resource};
use query::Visible;
use serde::Serialize;
use serde_json::{Value, json};

use crate::policy::TableId;

/// Who, what, and what became of it.
pub(crate) struct Entry<'a> {
    pub principal: &'a str,
    pub region: &'a str,
    pub subject: Subject<'a>,
}

pub(crate) enum Subject<'a> {
    /// A decision of a service.
    Access { action: Action, resource: &'a Resource<'a>, decision: &'a Decision },
    /// A query that has ended. Tables that it did not find are not in `tables`.
    Query { id: &'a str, touched: &'a Touched, rows: u64, bytes_read: u64, refusal: Option<&'a str> },
}

/// The tables of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub read: Vec<TableLimits>,
    /// What it changed, and by which rights.
    pub wrote: Option<(TableId, Vec<Action>)>,
}

/// What of a table a query could see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TableLimits {
    pub catalog: String,
    pub database: String,
    pub table: String,
    /// All of them where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_filter: Option<String>,
}

impl TableLimits {
    pub(crate) fn new(table: TableId, visible: &Visible) -> Self {
        let TableId { catalog, database, table } = table;
        let columns = visible.columns.as_ref().map(|columns| columns.iter().cloned().collect());
        Self { catalog, database, table, columns, row_filter: visible.row_filter.clone() }
    }
}

impl Entry<'_> {
    pub(super) fn line(&self, now_ms: i64) -> String {
        let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_string();
        let mut line = json!({ "time": time, "principal": self.principal, "region": self.region });
        let told = match &self.subject {
            Subject::Access { action, resource, decision } => access(*action, resource, decision),
            Subject::Query { id, touched, rows, bytes_read, refusal } => {
                let mut told = json!({
                    "action": "QUERY",
                    "query_execution_id": id,
                    "decision": if refusal.is_some() { "refused" } else { "allowed" },
                    "tables": touched.read,
                    "rows": rows,
                    "bytes_read": bytes_read,
                });
                if let Some((TableId { catalog, database, table }, actions)) = &touched.wrote {
                    let names: Vec<&str> = actions.iter().copied().map(name).collect();
                    let action = names.join(" ");
                    told["wrote"] =
                        json!({ "catalog": catalog, "database": database, "table": table, "action": action });
                }
                if let Some(reason) = refusal {
                    told["reason"] = Value::from(*reason);
                }
                told
            }
        };
        if let (Some(line), Value::Object(told)) = (line.as_object_mut(), told) {
            line.extend(told);
        }
        line.to_string()
    }
}

fn access(action: Action, resource: &Resource<'_>, decision: &Decision) -> Value {
    let mut told = match *resource {
        Resource::TableBucket { table_bucket, .. } => json!({ "table_bucket": table_bucket }),
        Resource::Namespace { table_bucket, namespace, .. } => {
            json!({ "table_bucket": table_bucket, "database": namespace })
        }
        Resource::Table { table_bucket, namespace, table, .. } => {
            json!({ "table_bucket": table_bucket, "database": namespace, "table": table })
        }
        Resource::Object { bucket, key } => json!({ "object": format!("{bucket}/{key}") }),
    };
    told["action"] = Value::from(name(action));
    told["decision"] = Value::from(if decision.is_allowed() { "allowed" } else { "denied" });
    if let Decision::Allowed { columns, row_filter } = decision {
        match columns {
            Columns::All => {}
            Columns::Only(columns) => told["columns"] = json!(columns),
            Columns::AllBut(columns) => told["columns_but"] = json!(columns),
        }
        if let Some(filter) = row_filter {
            told["row_filter"] = Value::from(filter.as_str());
        }
    }
    told
}

/// In Lake Formation's words.
fn name(action: Action) -> &'static str {
    match action {
        Action::Describe => "DESCRIBE",
        Action::Select => "SELECT",
        Action::Insert => "INSERT",
        Action::Delete => "DELETE",
        Action::Alter => "ALTER",
        Action::Drop => "DROP",
        Action::CreateTable => "CREATE_TABLE",
        Action::CreateDatabase => "CREATE_DATABASE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subject: Subject<'_>, expected: Value) {
        let entry = Entry { principal: "arn:aws:iam::000000000000:user/ana", region: "us-east-1", subject };
        let mut line: Value = serde_json::from_str(&entry.line(1_795_348_800_000)).unwrap();
        let members = line.as_object_mut().unwrap();
        assert_eq!(members.remove("time").unwrap(), "2026-11-22T12:00:00Z");
        assert_eq!(members.remove("principal").unwrap(), "arn:aws:iam::000000000000:user/ana");
        assert_eq!(members.remove("region").unwrap(), "us-east-1");
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_says_who_reached_for_what_and_what_was_decided() {
        let table = Resource::Table { region: "us-east-1", table_bucket: "lake", namespace: "sales", table: "orders" };
        let place = json!({ "table_bucket": "lake", "database": "sales", "table": "orders" });
        let line = |more: Value| {
            let mut line = place.clone();
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        let denied = Decision::Denied;
        let expected = line(json!({ "action": "DROP", "decision": "denied" }));
        check(Subject::Access { action: Action::Drop, resource: &table, decision: &denied }, expected);
        let limited = Decision::Allowed {
            columns: Columns::AllBut(["price".to_owned()].into()),
            row_filter: Some("region = 'EU'".to_owned()),
        };
        let expected = line(json!({
            "action": "SELECT", "decision": "allowed", "columns_but": ["price"], "row_filter": "region = 'EU'",
        }));
        check(Subject::Access { action: Action::Select, resource: &table, decision: &limited }, expected);
    }

    #[test]
    fn a_query_says_what_it_could_see_and_how_much_it_gave() {
        let (catalog, database, table) = ("s3tablescatalog/lake".into(), "sales".into(), "orders".into());
        let visible = Visible { columns: Some(["id".to_owned()].into()), row_filter: None };
        let id = TableId { catalog, database, table };
        let read = vec![TableLimits::new(id.clone(), &visible)];
        let touched = Touched { read, wrote: None };
        let query = |refusal| Subject::Query { id: "7", touched: &touched, rows: 3, bytes_read: 900, refusal };
        let place = json!({
            "catalog": "s3tablescatalog/lake", "database": "sales", "table": "orders", "columns": ["id"],
        });
        let expected = json!({
            "action": "QUERY", "query_execution_id": "7", "decision": "allowed", "tables": [place], "rows": 3,
            "bytes_read": 900,
        });
        check(query(None), expected.clone());
        let mut refused = expected.clone();
        (refused["decision"], refused["reason"]) = ("refused".into(), "no".into());
        check(query(Some("no")), refused);
        let wrote = Touched { wrote: Some((id, vec![Action::Delete, Action::Insert])), ..touched.clone() };
        let mut line = expected;
        line["wrote"] = json!({
            "catalog": "s3tablescatalog/lake", "database": "sales", "table": "orders", "action": "DELETE INSERT",
        });
        check(Subject::Query { id: "7", touched: &wrote, rows: 3, bytes_read: 900, refusal: None }, line);
    }
}
