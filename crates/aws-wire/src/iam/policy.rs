//! An identity's policy: what it allows, and what it denies all the same.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use serde_json::Value;

use super::Need;

/// The statements of a policy document.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Why a document cannot be enforced.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyError(pub String);

#[derive(Clone, Debug)]
struct Statement {
    is_allow: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    /// `StringEquals`: each key with the values it may have.
    conditions: Vec<(String, Vec<String>)>,
}

impl Policy {
    /// Reads a document. What is not understood is refused: a policy that is half enforced proves nothing.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let document: Value = serde_json::from_str(text).map_err(|error| PolicyError(format!("not JSON: {error}")))?;
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.iter().map(statement).collect::<Result<_, _>>()?,
            one @ Value::Object(_) => vec![statement(one)?],
            _ => return Err(PolicyError("it has no Statement".to_owned())),
        };
        Ok(Self { statements })
    }

    /// Whether something allows it and nothing denies it.
    pub(crate) fn allows(&self, need: &Need) -> bool {
        let matching = || self.statements.iter().filter(|statement| statement.concerns(need));
        matching().any(|statement| statement.is_allow) && matching().all(|statement| statement.is_allow)
    }
}

impl Statement {
    fn concerns(&self, need: &Need) -> bool {
        // Actions are compared without regard to case, resources with it.
        let action = need.action.to_lowercase();
        self.actions.iter().any(|pattern| is_like(&pattern.to_lowercase(), &action))
            && self.resources.iter().any(|pattern| is_like(pattern, &need.resource))
            && self.conditions.iter().all(|(key, values)| {
                let found = need.context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                found.is_some_and(|(_, value)| values.contains(value))
            })
    }
}

fn statement(json: &Value) -> Result<Statement, PolicyError> {
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    if let Some(name) =
        json.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
    {
        return Err(PolicyError(format!("{name} is not enforced here")));
    }
    let is_allow = match json["Effect"].as_str() {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err(PolicyError("Effect must be Allow or Deny".to_owned())),
    };
    let resources = texts(&json["Resource"]);
    let by_id = |resource: &&String| {
        resource.contains(":s3tables:") && resource.contains("/table/") && !resource.ends_with("/*")
    };
    if let Some(resource) = resources.iter().find(by_id) {
        let message =
            format!("{resource}: a table is told by /table/* and s3tables:namespace and s3tables:tableName here");
        return Err(PolicyError(message));
    }
    let mut conditions = Vec::new();
    for (operator, keys) in json["Condition"].as_object().into_iter().flatten() {
        if operator != "StringEquals" {
            return Err(PolicyError(format!("the condition {operator} is not enforced here")));
        }
        conditions.extend(keys.as_object().into_iter().flatten().map(|(key, values)| (key.clone(), texts(values))));
    }
    let actions = texts(&json["Action"]);
    if actions.is_empty() || resources.is_empty() {
        return Err(PolicyError("a statement needs Action and Resource".to_owned()));
    }
    Ok(Statement { is_allow, actions, resources, conditions })
}

fn texts(json: &Value) -> Vec<String> {
    match json {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// `*` stands for any text, `?` for one character.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern_rest.as_str();
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.any(|at| is_like(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut text_rest = text.chars();
            match text_rest.next() {
                Some(found) if wanted == '?' || wanted == found => is_like(pattern_rest.as_str(), text_rest.as_str()),
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn need(action: &str, resource: &str) -> Need {
        Need { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    #[test]
    fn what_is_not_allowed_is_denied_and_a_denial_wins() {
        let policy = Policy::parse(
            &json!({ "Version": "2012-10-17", "Statement": [
                { "Effect": "Allow", "Action": ["s3:Get*", "S3:ListBucket"], "Resource": "arn:aws:s3:::a*" },
                { "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::a/secret/?" },
            ]})
            .to_string(),
        )
        .unwrap();
        assert!(policy.allows(&need("s3:GetObject", "arn:aws:s3:::a/b")));
        assert!(policy.allows(&need("s3:listbucket", "arn:aws:s3:::ab")));
        assert!(!policy.allows(&need("s3:PutObject", "arn:aws:s3:::a/b")));
        assert!(!policy.allows(&need("s3:GetObject", "arn:aws:s3:::A/b")));
        assert!(!policy.allows(&need("s3:GetObject", "arn:aws:s3:::a/secret/1")));
        assert!(policy.allows(&need("s3:GetObject", "arn:aws:s3:::a/secret/12")));
    }

    #[test]
    fn a_condition_wants_its_key() {
        let condition = json!({ "StringEquals": { "s3tables:namespace": "shop" } });
        let statement =
            json!({ "Effect": "Allow", "Action": "s3tables:GetTable", "Resource": "*", "Condition": condition });
        let policy = Policy::parse(&json!({ "Statement": statement }).to_string()).unwrap();
        let mut asked = need("s3tables:GetTable", "arn");
        assert!(!policy.allows(&asked));
        asked.context.insert("s3tables:namespace", "shop".to_owned());
        assert!(policy.allows(&asked));
    }

    #[test]
    fn what_is_not_enforced_is_refused() {
        for statement in [
            json!({ "Effect": "Allow", "NotAction": "s3:*", "Resource": "*" }),
            json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": { "Bool": {} } }),
            json!({ "Effect": "Maybe", "Action": "s3:*", "Resource": "*" }),
            json!({ "Effect": "Allow", "Action": "s3:*" }),
        ] {
            assert!(Policy::parse(&json!({ "Statement": [statement] }).to_string()).is_err());
        }
    }
}
