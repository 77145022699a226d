//! The same as a configuration of Terraform, in its JSON syntax, for the provider `hashicorp/aws`.
//! <https://developer.hashicorp.com/terraform/language/syntax/json>

use serde_json::{Map, Value, json};

use super::alarms::{Alarm, alarms};
use super::cloudformation;
use super::parts::Parts;
use crate::resource::{Blueprint, tls_only};

/// The first that takes the catalog of a table bucket in a grant of Lake Formation.
/// <https://github.com/hashicorp/terraform-provider-aws/pull/43931>
const PROVIDER: &str = ">= 6.29.0";

pub fn document(parts: &Parts<'_>) -> Value {
    let mut resources = Resources::default();
    for blueprint in &parts.blueprints {
        add(&mut resources, parts, blueprint);
    }
    add_writer(&mut resources, parts);
    for alarm in alarms(parts) {
        resources.add("aws_cloudwatch_metric_alarm", &snake_case(&alarm.name), of_alarm(&alarm));
    }
    let by_hand: Vec<String> = parts.by_hand.iter().map(|by_hand| escaped(&by_hand.command)).collect();
    json!({
        "//": parts.about(),
        "terraform": {
            "required_version": ">= 1.5.0",
            "required_providers": { "aws": { "source": "hashicorp/aws", "version": PROVIDER } },
        },
        "variable": {
            "writer_role": {
                "type": "string",
                "default": parts.named(""),
                "description": "The role that runs Dynaberg, by name. It has to be there.",
            },
            "alarm_topic": {
                "type": "string",
                "default": "",
                "description": "The ARN of an SNS topic that alarms are told to. Nobody is told, where it is empty.",
            },
            "lake_formation": {
                "type": "bool",
                "default": false,
                "description": "Whether Lake Formation governs the table bucket, so that the writer needs a grant, too.",
            },
        },
        "data": { "aws_iam_role": { "writer": { "name": "${var.writer_role}" } } },
        "resource": resources.0,
        "output": {
            "by_hand": { "description": "What Terraform cannot do: commands of the AWS CLI.", "value": by_hand },
        },
    })
}

/// Resources by type and name.
#[derive(Default)]
struct Resources(Map<String, Value>);

impl Resources {
    fn add(&mut self, kind: &str, name: &str, arguments: Value) {
        self.0.entry(kind).or_insert_with(|| json!({}))[name] = arguments;
    }

    /// The same for what holds data, or is read by others: Terraform refuses to destroy it.
    fn keep(&mut self, kind: &str, name: &str, mut arguments: Value) {
        arguments["lifecycle"] = json!({ "prevent_destroy": true });
        self.add(kind, name, arguments);
    }
}

fn add(resources: &mut Resources, parts: &Parts<'_>, blueprint: &Blueprint) {
    let table_bucket = match parts.has(|part| matches!(part, Blueprint::TableBucket { .. })) {
        true => "${aws_s3tables_table_bucket.lake.arn}".to_owned(),
        false => parts.touched.table_bucket.clone(),
    };
    match blueprint {
        Blueprint::None | Blueprint::DynamoDbStream { .. } => {}
        Blueprint::KinesisStream { name } => resources.keep(
            "aws_kinesis_stream",
            "changes",
            json!({
                "name": name,
                "retention_period": 24,
                "stream_mode_details": [{ "stream_mode": "ON_DEMAND" }],
                "encryption_type": "KMS",
                "kms_key_id": "alias/aws/kinesis",
            }),
        ),
        Blueprint::KinesisDestination { table, .. } => {
            let stream = match parts.has(|part| matches!(part, Blueprint::KinesisStream { .. })) {
                true => "${aws_kinesis_stream.changes.arn}".to_owned(),
                false => parts.touched.stream(),
            };
            let arguments = json!({
                "table_name": table,
                "stream_arn": stream,
                "approximate_creation_date_time_precision": "MICROSECOND",
            });
            resources.keep("aws_dynamodb_kinesis_streaming_destination", "changes", arguments);
        }
        Blueprint::Bucket { name } => add_bucket(resources, name),
        Blueprint::Queue { name } => {
            let mut arguments =
                json!({ "name": name, "message_retention_seconds": 1_209_600, "sqs_managed_sse_enabled": true });
            if name.ends_with(".fifo") {
                arguments["fifo_queue"] = true.into();
            }
            resources.keep("aws_sqs_queue", "letters", arguments);
        }
        Blueprint::TableBucket { name } => resources.keep("aws_s3tables_table_bucket", "lake", json!({ "name": name })),
        Blueprint::Namespace { name, .. } => {
            let arguments = json!({ "namespace": name, "table_bucket_arn": table_bucket });
            resources.keep("aws_s3tables_namespace", "lake", arguments);
        }
        Blueprint::IcebergTable { .. } => add_table(resources, parts, blueprint),
    }
}

fn add_bucket(resources: &mut Resources, name: &str) {
    const ID: &str = "${aws_s3_bucket.letters.id}";
    resources.keep("aws_s3_bucket", "letters", json!({ "bucket": name }));
    let arguments = json!({
        "bucket": ID,
        "block_public_acls": true,
        "block_public_policy": true,
        "ignore_public_acls": true,
        "restrict_public_buckets": true,
    });
    resources.add("aws_s3_bucket_public_access_block", "letters", arguments);
    let by_default = json!([{ "sse_algorithm": "AES256" }]);
    let arguments = json!({ "bucket": ID, "rule": [{ "apply_server_side_encryption_by_default": by_default }] });
    resources.add("aws_s3_bucket_server_side_encryption_configuration", "letters", arguments);
    let arguments = json!({ "bucket": ID, "policy": escaped(&tls_only(name).to_string()) });
    resources.add("aws_s3_bucket_policy", "letters", arguments);
}

/// By a stack of CloudFormation: `aws_s3tables_table` knows neither partitions nor properties, nor nested columns, nor what
/// a column is documented as, by which attributes find it.
/// <https://github.com/hashicorp/terraform-provider-aws/issues/47601>,
/// <https://github.com/hashicorp/terraform-provider-aws/issues/46494>
fn add_table(resources: &mut Resources, parts: &Parts<'_>, blueprint: &Blueprint) {
    let template = cloudformation::table_alone(parts, blueprint);
    let mut arguments = json!({ "name": parts.named("-table"), "template_body": escaped(&template.to_string()) });
    if parts.has(|part| matches!(part, Blueprint::Namespace { .. })) {
        arguments["depends_on"] = json!(["aws_s3tables_namespace.lake"]);
    }
    resources.keep("aws_cloudformation_stack", "table", arguments);
}

fn add_writer(resources: &mut Resources, parts: &Parts<'_>) {
    let arguments = json!({
        "name": parts.named("-run"),
        "description": format!("What dynaberg run {}.toml needs, and no more", parts.pipeline),
        "policy": escaped(&parts.rights().to_string()),
    });
    resources.add("aws_iam_policy", "run", arguments);
    let arguments = json!({ "role": "${data.aws_iam_role.writer.name}", "policy_arn": "${aws_iam_policy.run.arn}" });
    resources.add("aws_iam_role_policy_attachment", "run", arguments);
    let table = json!([{
        "catalog_id": parts.catalog_id(),
        "database_name": parts.touched.namespace,
        "name": parts.touched.table,
    }]);
    let mut grant = json!({
        "count": "${var.lake_formation ? 1 : 0}",
        "principal": "${data.aws_iam_role.writer.arn}",
        "permissions": ["ALL"],
        "table": table,
    });
    if parts.has(|part| matches!(part, Blueprint::IcebergTable { .. })) {
        grant["depends_on"] = json!(["aws_cloudformation_stack.table"]);
    }
    resources.add("aws_lakeformation_permissions", "writer", grant);
}

fn of_alarm(alarm: &Alarm) -> Value {
    json!({
        "alarm_name": alarm.full_name,
        "alarm_description": escaped(&alarm.description),
        "namespace": alarm.namespace,
        "metric_name": alarm.metric,
        "dimensions": alarm.dimensions,
        "statistic": alarm.statistic,
        "comparison_operator": alarm.comparison,
        "threshold": alarm.threshold,
        "period": alarm.period,
        "evaluation_periods": alarm.periods,
        "treat_missing_data": alarm.missing,
        "alarm_actions": "${var.alarm_topic == \"\" ? [] : [var.alarm_topic]}",
    })
}

/// Text as it stands in a string of Terraform, where `${` and `%{` would begin an expression.
fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// `HeldLettersAge` as `held_letters_age`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_expression() {
        assert_eq!(escaped("a ${b} %{c} $d"), "a $${b} %%{c} $d");
        assert_eq!(snake_case("HeldLettersAge"), "held_letters_age");
    }
}
