//! The same as a template of AWS CloudFormation.
//! AWS CloudFormation Template Reference Guide, "AWS::S3Tables::Table" and its siblings.

use serde_json::{Map, Value, json};

use super::alarms::{Alarm, alarms};
use super::parts::Parts;
use crate::resource::{Blueprint, tls_only};

pub fn document(parts: &Parts<'_>) -> Value {
    let mut resources = Map::new();
    for blueprint in &parts.blueprints {
        resources.extend(of_blueprint(parts, blueprint).into_iter().map(|(id, resource)| (id.to_owned(), resource)));
    }
    resources.insert("RunPolicy".to_owned(), run_policy(parts));
    resources.insert("WriterGrant".to_owned(), writer_grant(parts));
    resources.extend(alarms(parts).iter().map(|alarm| (format!("Alarm{}", alarm.name), of_alarm(alarm))));
    let mut document = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": parts.description(),
        "Metadata": { "Dynaberg": parts.about() },
        "Parameters": {
            "WriterRole": {
                "Type": "String",
                "Default": parts.named(""),
                "Description": "The role that runs Dynaberg, by name and without a path. It has to be there.",
            },
            "AlarmTopic": {
                "Type": "String",
                "Default": "",
                "Description": "The ARN of an SNS topic that alarms are told to. Nobody is told, where it is empty.",
            },
            "LakeFormation": {
                "Type": "String",
                "Default": "no",
                "AllowedValues": ["no", "yes"],
                "Description": "Whether Lake Formation governs the table bucket, so that the writer needs a grant, too.",
            },
        },
        "Conditions": {
            "HasAlarmTopic": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "AlarmTopic" }, ""] }] },
            "IsGoverned": { "Fn::Equals": [{ "Ref": "LakeFormation" }, "yes"] },
        },
        "Resources": resources,
    });
    // Who looks at the stack alone sees what is left to do.
    let outputs = parts.by_hand.iter().zip(1..);
    let outputs: Map<String, Value> = outputs
        .map(|(by_hand, number)| {
            (format!("ByHand{number}"), json!({ "Description": by_hand.why, "Value": by_hand.command }))
        })
        .collect();
    if !outputs.is_empty() {
        document["Outputs"] = outputs.into();
    }
    document
}

/// A template with the table alone, for those who can make everything else in another language.
pub fn table_alone(parts: &Parts<'_>, blueprint: &Blueprint) -> Value {
    let resources = of_blueprint(parts, blueprint).into_iter().map(|(id, mut resource)| {
        if let Some(resource) = resource.as_object_mut() {
            resource.remove("DependsOn");
        }
        resource["Properties"]["TableBucketARN"] = parts.touched.table_bucket.clone().into();
        (id.to_owned(), resource)
    });
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": parts.description(),
        "Resources": resources.collect::<Map<String, Value>>(),
    })
}

fn of_blueprint(parts: &Parts<'_>, blueprint: &Blueprint) -> Vec<(&'static str, Value)> {
    let table_bucket = match parts.has(|part| matches!(part, Blueprint::TableBucket { .. })) {
        true => json!({ "Fn::GetAtt": ["TableBucket", "TableBucketARN"] }),
        false => parts.touched.table_bucket.clone().into(),
    };
    match blueprint {
        // What a template cannot do was taken out when the parts were chosen.
        Blueprint::None | Blueprint::DynamoDbStream { .. } | Blueprint::KinesisDestination { .. } => Vec::new(),
        Blueprint::KinesisStream { name } => vec![(
            "Changes",
            kept(
                "AWS::Kinesis::Stream",
                json!({
                    "Name": name,
                    "RetentionPeriodHours": 24,
                    "StreamModeDetails": { "StreamMode": "ON_DEMAND" },
                    "StreamEncryption": { "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" },
                }),
            ),
        )],
        Blueprint::Bucket { name } => vec![
            (
                "Letters",
                kept(
                    "AWS::S3::Bucket",
                    json!({
                        "BucketName": name,
                        "BucketEncryption": { "ServerSideEncryptionConfiguration": [
                            { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } },
                        ] },
                        "PublicAccessBlockConfiguration": {
                            "BlockPublicAcls": true,
                            "BlockPublicPolicy": true,
                            "IgnorePublicAcls": true,
                            "RestrictPublicBuckets": true,
                        },
                    }),
                ),
            ),
            (
                "LettersByTlsOnly",
                kept(
                    "AWS::S3::BucketPolicy",
                    json!({ "Bucket": { "Ref": "Letters" }, "PolicyDocument": tls_only(name) }),
                ),
            ),
        ],
        Blueprint::Queue { name } => {
            let mut properties =
                json!({ "QueueName": name, "MessageRetentionPeriod": 1_209_600, "SqsManagedSseEnabled": true });
            if name.ends_with(".fifo") {
                properties["FifoQueue"] = true.into();
            }
            vec![("LetterQueue", kept("AWS::SQS::Queue", properties))]
        }
        Blueprint::TableBucket { name } => {
            vec![("TableBucket", kept("AWS::S3Tables::TableBucket", json!({ "TableBucketName": name })))]
        }
        Blueprint::Namespace { name, .. } => {
            let properties = json!({ "TableBucketARN": table_bucket, "Namespace": name });
            vec![("Namespace", kept("AWS::S3Tables::Namespace", properties))]
        }
        Blueprint::IcebergTable { namespace, name, definition, .. } => {
            let properties = json!({
                "TableBucketARN": table_bucket,
                "Namespace": namespace,
                "TableName": name,
                "OpenTableFormat": "ICEBERG",
                "IcebergMetadata": metadata(definition),
            });
            let mut table = kept("AWS::S3Tables::Table", properties);
            if parts.has(|part| matches!(part, Blueprint::Namespace { .. })) {
                table["DependsOn"] = "Namespace".into();
            }
            vec![("Table", table)]
        }
    }
}

/// What holds data, or is read by others, outlives its stack.
fn kept(kind: &str, properties: Value) -> Value {
    json!({ "Type": kind, "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain", "Properties": properties })
}

/// `metadata.iceberg` of CreateTable in CloudFormation's words. Types are Iceberg's JSON in both.
fn metadata(definition: &Value) -> Value {
    let schema = &definition["schemaV2"];
    let field = |field: &Value| {
        let mut spelled = json!({
            "Id": field["id"],
            "Name": field["name"],
            "Type": field["type"],
            "Required": field["required"],
        });
        if field["doc"].is_string() {
            spelled["Doc"] = field["doc"].clone();
        }
        spelled
    };
    let list = |value: &Value, spell: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        value.as_array().into_iter().flatten().map(spell).collect()
    };
    let mut metadata = json!({
        "IcebergSchemaV2": {
            "SchemaV2FieldType": "struct",
            "SchemaV2FieldList": list(&schema["fields"], &field),
            "IdentifierFieldIds": schema["identifier-field-ids"],
        },
        "TableProperties": definition["properties"],
    });
    let partition_fields = &definition["partitionSpec"]["fields"];
    if partition_fields.is_array() {
        let field = |field: &Value| {
            let mut spelled =
                json!({ "SourceId": field["source-id"], "Name": field["name"], "Transform": field["transform"] });
            if field["field-id"].is_number() {
                spelled["FieldId"] = field["field-id"].clone();
            }
            spelled
        };
        metadata["IcebergPartitionSpec"] = json!({ "Fields": list(partition_fields, &field) });
    }
    metadata
}

fn run_policy(parts: &Parts<'_>) -> Value {
    json!({
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "ManagedPolicyName": parts.named("-run"),
            "Description": format!("What dynaberg run {}.toml needs, and no more", parts.pipeline),
            "PolicyDocument": parts.rights(),
            "Roles": [{ "Ref": "WriterRole" }],
        },
    })
}

fn writer_grant(parts: &Parts<'_>) -> Value {
    let role = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${WriterRole}";
    let table = json!({ "CatalogId": parts.catalog_id(), "DatabaseName": parts.touched.namespace, "Name": parts.touched.table });
    let mut grant = json!({
        "Type": "AWS::LakeFormation::PrincipalPermissions",
        "Condition": "IsGoverned",
        "Properties": {
            "Principal": { "DataLakePrincipalIdentifier": { "Fn::Sub": role } },
            "Resource": { "Table": table },
            "Permissions": ["ALL"],
            "PermissionsWithGrantOption": [],
        },
    });
    if parts.has(|part| matches!(part, Blueprint::IcebergTable { .. })) {
        grant["DependsOn"] = "Table".into();
    }
    grant
}

fn of_alarm(alarm: &Alarm) -> Value {
    let dimensions = alarm.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value }));
    json!({
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": alarm.full_name,
            "AlarmDescription": alarm.description,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "Dimensions": dimensions.collect::<Vec<Value>>(),
            "Statistic": alarm.statistic,
            "ComparisonOperator": alarm.comparison,
            "Threshold": alarm.threshold,
            "Period": alarm.period,
            "EvaluationPeriods": alarm.periods,
            "TreatMissingData": alarm.missing,
            "AlarmActions": { "Fn::If": ["HasAlarmTopic", [{ "Ref": "AlarmTopic" }], { "Ref": "AWS::NoValue" }] },
        },
    })
}
