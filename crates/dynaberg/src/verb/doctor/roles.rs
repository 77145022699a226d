//! What the roles of writers may do: their policies, inline and attached.
//! AWS Identity and Access Management API Reference, "GetRolePolicy" and "GetPolicyVersion".

use percent_encoding::percent_decode_str;
use provision::{Result, Service, Services, xml_element, xml_elements};
use serde_json::Value;

use super::facts::Facts;
use super::look::unseen;
use crate::aws::on;

const VERSION: &str = "2010-05-08";
/// IAM attaches at most 20 policies to a role, and gives 100 a page: nobody has a second one.
const PAGE: (&str, &str) = ("MaxItems", "1000");
/// Services whose actions take resources, so that `*` is never needed for work on one table. Of Lake Formation and of lists
/// it is.
const OF_RESOURCES: [&str; 8] = ["dynamodb", "firehose", "glue", "kinesis", "lambda", "s3", "s3tables", "sqs"];

pub async fn look(services: &Services, facts: &mut Facts) {
    let mut roles: Vec<String> =
        facts.writers().iter().filter_map(|arn| Some(arn.split_once(":role/")?.1.to_owned())).collect();
    roles.sort();
    roles.dedup();
    if roles.is_empty() {
        return facts.miss(&["W15"], "no function and no delivery stream was found, whose role would show it");
    }
    for path in roles {
        let role = path.rsplit('/').next().unwrap_or(&path);
        match policies(services, role).await {
            Ok(policies) => {
                let wide = policies.iter().flat_map(wildcards);
                facts.wildcards.extend(wide.map(|wide| format!("role {role}: {wide}")));
            }
            Err(error) => {
                let why = unseen("policies of roles", &error);
                return facts
                    .miss(&["W15"], format!("{why}. Try: aws iam get-role-policy, for actions and resources of *"));
            }
        }
    }
}

async fn policies(services: &Services, role: &str) -> Result<Vec<Value>> {
    let ask = |action: &'static str, parameters: Vec<(&'static str, String)>| async move {
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        services.query(on(Service::Iam, action), VERSION, &parameters).await
    };
    let of_role = || vec![("RoleName", role.to_owned()), (PAGE.0, PAGE.1.to_owned())];
    let mut policies = Vec::new();
    for name in xml_elements(&ask("ListRolePolicies", of_role()).await?, "member") {
        let answer = ask("GetRolePolicy", vec![("RoleName", role.to_owned()), ("PolicyName", name)]).await?;
        policies.extend(document(&answer, "PolicyDocument"));
    }
    for arn in xml_elements(&ask("ListAttachedRolePolicies", of_role()).await?, "PolicyArn") {
        let answer = ask("GetPolicy", vec![("PolicyArn", arn.clone())]).await?;
        let version = xml_element(&answer, "DefaultVersionId").unwrap_or_default();
        let answer = ask("GetPolicyVersion", vec![("PolicyArn", arn), ("VersionId", version)]).await?;
        policies.extend(document(&answer, "Document"));
    }
    Ok(policies)
}

/// Policies come with percent signs, as they would stand in a URL.
fn document(answer: &str, element: &str) -> Option<Value> {
    let text = xml_element(answer, element)?;
    serde_json::from_str(&percent_decode_str(&text).decode_utf8_lossy()).ok()
}

/// What a policy allows by `*`: an action of many, or an action on every resource of a service that has names for them.
fn wildcards(policy: &Value) -> Vec<String> {
    let mut wide = Vec::new();
    for statement in list(&policy["Statement"]).into_iter().filter(|statement| statement["Effect"] == "Allow") {
        let is_everywhere = list(&statement["Resource"]).contains(&&Value::from("*"));
        for action in list(&statement["Action"]).into_iter().filter_map(Value::as_str) {
            let service = action.split(':').next().unwrap_or_default();
            let is_list = action.contains(":List") || action.contains(":DescribeLimits");
            if action.contains('*') || (is_everywhere && OF_RESOURCES.contains(&service) && !is_list) {
                let resources: Vec<&str> = list(&statement["Resource"]).into_iter().filter_map(Value::as_str).collect();
                wide.push(format!("{action} on {}", resources.join(", ")));
            }
        }
    }
    wide
}

/// One value or a list of them.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(statement: Value, expected: &[&str]) {
        assert_eq!(wildcards(&json!({ "Statement": statement })), expected);
    }

    #[test]
    fn a_wildcard_counts_where_a_name_would_do() {
        let allow =
            |action: Value, resource: &str| json!([{ "Effect": "Allow", "Action": action, "Resource": resource }]);
        check(allow(json!("s3:*"), "arn:aws:s3:::a/*"), &["s3:* on arn:aws:s3:::a/*"]);
        check(allow(json!(["firehose:PutRecord"]), "*"), &["firehose:PutRecord on *"]);
        check(allow(json!("lakeformation:GetDataAccess"), "*"), &[]);
        check(allow(json!("s3tables:ListTableBuckets"), "*"), &[]);
        check(allow(json!("firehose:PutRecord"), "arn:aws:firehose:us-east-1:0:deliverystream/a"), &[]);
        check(json!({ "Effect": "Deny", "Action": "*", "Resource": "*" }), &[]);
    }
}
