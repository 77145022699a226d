//! Values of the pipeline file. A parser answers with what is wrong and what to try.

use std::time::Duration;

use pipeline::PartitionField;

type Parsed<T> = Result<T, (String, String)>;

/// Where the target's catalog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// `arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME`.
    TableBucket { arn: String, region: String },
    /// An Iceberg REST catalog, with the warehouse of a `?warehouse=` suffix.
    Rest { uri: String, warehouse: Option<String> },
}

impl Catalog {
    pub fn parse(text: &str) -> Parsed<Self> {
        const ARN: &str = "arn:aws:s3tables:us-east-1:123456789012:bucket/NAME";
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(match text.split_once("?warehouse=") {
                Some((uri, warehouse)) => Self::Rest { uri: uri.to_owned(), warehouse: Some(warehouse.to_owned()) },
                None => Self::Rest { uri: text.to_owned(), warehouse: None },
            });
        }
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "s3tables", region, account, resource]
                if partition.starts_with("aws")
                    && account.len() == 12
                    && account.bytes().all(|byte| byte.is_ascii_digit())
                    && resource.strip_prefix("bucket/").is_some_and(|name| !name.is_empty() && !name.contains('/')) =>
            {
                Ok(Self::TableBucket { arn: text.to_owned(), region: (*region).to_owned() })
            }
            ["arn", _, "s3", ..] => Err((
                "an S3 ARN stands where a table bucket's belongs: it must be arn:aws:s3tables:".into(),
                ARN.into(),
            )),
            _ => Err(("not a table bucket's ARN and not the URI of an Iceberg REST catalog".into(), ARN.into())),
        }
    }
}

/// `namespace.table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetName {
    pub namespace: String,
    pub table: String,
}

impl TargetName {
    pub fn parse(text: &str) -> Parsed<Self> {
        let legal = |name: &str| {
            let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            name.len() <= 255
                && edge(name.bytes().next())
                && edge(name.bytes().last())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        match text.split_once('.') {
            Some((namespace, table)) if legal(namespace) && legal(table) => {
                Ok(Self { namespace: namespace.to_owned(), table: table.to_owned() })
            }
            Some(_) => Err((
                "a namespace or table name has characters that S3 Tables refuses".into(),
                "lower-case letters, digits and underscores, a letter or digit at both ends".into(),
            )),
            None => Err(("the target needs a namespace".into(), format!("table = \"analytics.{text}\""))),
        }
    }
}

impl std::fmt::Display for TargetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.table)
    }
}

/// One entry of `partition`: `region`, `day(created)`, `bucket(16, customer_id)`.
pub fn parse_partition_field(text: &str) -> Parsed<PartitionField> {
    let wrong = || {
        let advice = "region, day(created), month(created), bucket(16, customer_id) or truncate(4, region)";
        (format!("`{text}` is not a partition field"), advice.to_owned())
    };
    let field = |column: &str, transform: String| {
        let column = column.trim();
        let legal = !column.is_empty() && !column.contains(['(', ')', ',']);
        legal.then(|| PartitionField { column: column.to_owned(), transform }).ok_or_else(wrong)
    };
    let Some((function, arguments)) = text.split_once('(') else {
        return field(text, "identity".into());
    };
    let arguments = arguments.trim_end().strip_suffix(')').ok_or_else(wrong)?;
    match (function.trim(), arguments.split_once(',')) {
        (function @ ("year" | "month" | "day" | "hour" | "identity"), None) => field(arguments, function.into()),
        (function @ ("bucket" | "truncate"), Some((width, column))) => {
            let width: u32 = width.trim().parse().ok().filter(|width| *width > 0).ok_or_else(wrong)?;
            field(column, format!("{function}[{width}]"))
        }
        _ => Err(wrong()),
    }
}

/// `s3://BUCKET/PREFIX/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Prefix(pub String);

impl S3Prefix {
    pub fn parse(text: &str) -> Parsed<Self> {
        match text.strip_prefix("s3://").map(|rest| rest.split('/').next().unwrap_or_default()) {
            Some(bucket) if bucket.len() >= 3 => Ok(Self(format!("{}/", text.trim_end_matches('/')))),
            _ => Err(("not an S3 prefix".into(), "errors = \"s3://BUCKET/errors/\"".into())),
        }
    }
}

/// An SQS queue's name, or its URL.
pub fn parse_queue(text: &str) -> Parsed<String> {
    let name = text.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let is_name = (1..=80).contains(&name.len())
        && !stem.is_empty()
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    if is_name && (is_url || name == text) {
        Ok(text.to_owned())
    } else {
        Err(("not an SQS queue".into(), "queue = \"NAME\", or the queue's URL".into()))
    }
}

/// A DynamoDB table's name, or its ARN's last part.
pub fn parse_source_table(text: &str) -> Parsed<String> {
    let name = text.rsplit(":table/").next().unwrap_or(text);
    let legal = (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if legal {
        Ok(name.to_owned())
    } else {
        Err(("not a DynamoDB table's name".into(), "3 to 255 letters, digits, `_`, `-` or `.`".into()))
    }
}

/// The name of a consumer with enhanced fan-out.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>
pub fn parse_consumer(text: &str) -> Parsed<String> {
    let legal = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if legal {
        Ok(text.to_owned())
    } else {
        Err(("not a consumer's name".into(), "1 to 128 letters, digits, `_`, `-` or `.`".into()))
    }
}

/// `500ms`, `30s`, `5m`, `4h`, `1d`.
pub fn parse_duration(text: &str) -> Parsed<Duration> {
    let wrong = || (format!("`{text}` is not a duration"), "a number and a unit: 500ms, 30s, 5m, 4h or 1d".to_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(wrong)
}

/// `512KB`, `64MB`, `1GB`, in powers of 1,024.
pub fn parse_size(text: &str) -> Parsed<usize> {
    let wrong = || (format!("`{text}` is not a size"), "a number and a unit: 512KB, 64MB or 1GB".to_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().map_err(|_| wrong())?;
    let shift = match &text[digits.len()..] {
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}
