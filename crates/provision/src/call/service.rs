//! The services that are called, and how each wants to be called.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Athena,
    CloudWatch,
    DynamoDb,
    Firehose,
    Glue,
    Iam,
    Kinesis,
    LakeFormation,
    Lambda,
    S3,
    S3Tables,
    Sqs,
    Sts,
}

impl Service {
    /// Its name in signatures, in host names, and in IAM's actions but for CloudWatch.
    pub fn scope(self) -> &'static str {
        match self {
            Self::Athena => "athena",
            Self::CloudWatch => "monitoring",
            Self::DynamoDb => "dynamodb",
            Self::Firehose => "firehose",
            Self::Glue => "glue",
            Self::Iam => "iam",
            Self::Kinesis => "kinesis",
            Self::LakeFormation => "lakeformation",
            Self::Lambda => "lambda",
            Self::S3 => "s3",
            Self::S3Tables => "s3tables",
            Self::Sqs => "sqs",
            Self::Sts => "sts",
        }
    }

    /// Its name in IAM's actions, and in the settings of endpoints: `AWS_ENDPOINT_URL_CLOUDWATCH`.
    pub fn id(self) -> &'static str {
        match self {
            Self::CloudWatch => "cloudwatch",
            other => other.scope(),
        }
    }

    /// What stands before the dot of `X-Amz-Target`, and the version of the protocol, where it is one of JSON.
    pub(super) fn json_target(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Athena => ("AmazonAthena", "1.1"),
            Self::CloudWatch => ("GraniteServiceVersion20100801", "1.0"),
            Self::DynamoDb => ("DynamoDB_20120810", "1.0"),
            Self::Firehose => ("Firehose_20150804", "1.1"),
            Self::Glue => ("AWSGlue", "1.1"),
            Self::Kinesis => ("Kinesis_20131202", "1.1"),
            Self::Sqs => ("AmazonSQS", "1.0"),
            Self::Iam | Self::LakeFormation | Self::Lambda | Self::S3 | Self::S3Tables | Self::Sts => return None,
        })
    }

    /// IAM is one for all regions.
    pub(super) fn signing_region(self, region: &str) -> String {
        if self == Self::Iam { "us-east-1".to_owned() } else { region.to_owned() }
    }
}
