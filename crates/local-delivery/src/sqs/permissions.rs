//! AddPermission and RemovePermission: statements of a queue's policy.
//!
//! The policy is kept and shown. Nobody is let in by it: queues are for their own account.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::{Call, done};

/// The operations that others can be let do.
const ACTIONS: [&str; 10] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SetQueueAttributes",
];
const ACTIONS_MAX: usize = 7;
const LABEL_LENGTH_MAX: usize = 80;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    queue_url: Option<String>,
    label: Option<String>,
    #[serde(default, rename = "AWSAccountIds")]
    account_ids: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
}

pub(super) async fn add(call: &Call<'_>) -> Result<Value> {
    let request: Request = call.parse()?;
    if request.account_ids.is_empty() {
        return Err(error::missing_parameter("AWSAccountIds"));
    }
    if request.actions.is_empty() {
        return Err(error::missing_parameter("Actions"));
    }
    if request.actions.len() > ACTIONS_MAX {
        let message = format!("{} Actions were found, maximum allowed is {ACTIONS_MAX}.", request.actions.len());
        return Err(error::invalid_parameter(message));
    }
    if let Some(unknown) = request.actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
        let reason = "Please refer to the appropriate WSDL for a list of valid actions.";
        return Err(error::invalid_value("ActionName", format_args!("SQS:{unknown}"), reason));
    }
    change(call, request, |statements, request, label, arn| {
        if statements.iter().any(|statement| statement["Sid"] == label.as_str()) {
            return Err(error::invalid_value("Label", label, "Already exists."));
        }
        let one_or_all = |values: Vec<String>| if let [one] = &values[..] { json!(one) } else { json!(values) };
        let principals = request.account_ids.iter().map(|id| format!("arn:aws:iam::{id}:root")).collect();
        let actions = request.actions.iter().map(|action| format!("SQS:{action}")).collect();
        statements.push(json!({
            "Sid": label,
            "Effect": "Allow",
            "Principal": { "AWS": one_or_all(principals) },
            "Action": one_or_all(actions),
            "Resource": arn,
        }));
        Ok(())
    })
    .await
}

pub(super) async fn remove(call: &Call<'_>) -> Result<Value> {
    let request: Request = call.parse()?;
    change(call, request, |statements, _, label, _| {
        let before = statements.len();
        statements.retain(|statement| statement["Sid"] != label.as_str());
        match statements.len() == before {
            true => Err(error::invalid_value("Label", label, "can't find label.")),
            false => Ok(()),
        }
    })
    .await
}

async fn change(
    call: &Call<'_>,
    request: Request,
    edit: impl FnOnce(&mut Vec<Value>, &Request, &String, &str) -> Result<()> + Send + 'static,
) -> Result<Value> {
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let label = request.label.clone().ok_or_else(|| error::missing_parameter("Label"))?;
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !(1..=LABEL_LENGTH_MAX).contains(&label.len()) || !label.bytes().all(is_label) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
        return Err(error::invalid_value("Label", label, reason));
    }
    let now = call.now_ms();
    let changed = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let arn = address.arn();
        let mut policy: Value = match queue.settings.policy() {
            Some(policy) => serde_json::from_str(policy)?,
            None => json!({ "Version": "2008-10-17", "Id": format!("{arn}/SQSDefaultPolicy"), "Statement": [] }),
        };
        let mut statements = match policy["Statement"].take() {
            Value::Array(statements) => statements,
            Value::Null => Vec::new(),
            one => vec![one],
        };
        edit(&mut statements, &request, &label, &arn)?;
        let text = if statements.is_empty() {
            String::new()
        } else {
            policy["Statement"] = Value::Array(statements);
            policy.to_string()
        };
        let mut settings = queue.settings.clone();
        settings.change(&BTreeMap::from([("Policy".to_owned(), text)]), address.is_fifo())?;
        queue.save_settings(connection, &settings, now)
    });
    changed.await?;
    Ok(done())
}
