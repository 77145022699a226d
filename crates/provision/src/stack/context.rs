//! `cdk.context.json`: JSON as people write it, with comments and a comma too many.

use serde_json::Value;

/// What the blog's context file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub table_bucket_name: String,
    pub table_name: String,
    pub namespace: String,
    /// The bucket of records that could not be delivered.
    pub bucket_name: String,
    pub stream_type: StreamType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamType {
    DynamoDb,
    Kinesis,
}

/// What is wrong with a context file, and what to try.
#[derive(Debug, PartialEq, Eq)]
pub struct Misread {
    pub message: String,
    pub advice: String,
}

const KEYS: [&str; 5] = ["table_bucket_name", "table_name", "namespace", "bucket_name", "stream_type"];

impl Context {
    pub fn parse(text: &str) -> Result<Self, Misread> {
        let json: Value = serde_json::from_str(&plain(text)).map_err(|error| Misread {
            message: format!("it is not JSON: {error}"),
            advice: "the five keys of the blog, each with a text".to_owned(),
        })?;
        let Value::Object(members) = json else {
            let message = "it is not an object".to_owned();
            return Err(Misread {
                message, advice: "{ \"table_bucket_name\": \"streamtablebucket\", … }".to_owned()
            });
        };
        // What the CDK writes beside them is its own: feature flags and what it looked up.
        let is_foreign = |key: &&String| key.starts_with('@') || key.contains(':');
        if let Some(key) = members.keys().filter(|key| !is_foreign(key)).find(|key| !KEYS.contains(&key.as_str())) {
            let message = format!("`{key}` is not a key of it");
            return Err(Misread { message, advice: format!("one of {}", KEYS.join(", ")) });
        }
        let text = |key: &str| match &members.get(key) {
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(wrong(key, &other.to_string(), "it is not a text")),
            None => Err(Misread { message: format!("`{key}` is missing"), advice: format!("\"{key}\": \"…\"") }),
        };
        let [table_bucket_name, table_name, namespace, bucket_name, stream_type] = KEYS;
        Ok(Self {
            table_bucket_name: checked(table_bucket_name, text(table_bucket_name)?, bucket_rule)?,
            table_name: checked(table_name, text(table_name)?, name_rule)?,
            namespace: checked(namespace, text(namespace)?, name_rule)?,
            bucket_name: checked(bucket_name, text(bucket_name)?, bucket_rule)?,
            stream_type: match text(stream_type)? {
                "dynamodb" => StreamType::DynamoDb,
                "kinesis" => StreamType::Kinesis,
                other => return Err(wrong(stream_type, other, "it is neither \"dynamodb\" nor \"kinesis\"")),
            },
        })
    }
}

fn checked(key: &str, value: &str, rule: fn(&str) -> Option<&'static str>) -> Result<String, Misread> {
    match rule(value) {
        None => Ok(value.to_owned()),
        Some(broken) => Err(wrong(key, value, broken)),
    }
}

fn wrong(key: &str, value: &str, why: &str) -> Misread {
    let example = match key {
        "table_bucket_name" => "streamtablebucket",
        "table_name" => "transactions",
        "namespace" => "analytics",
        "bucket_name" => "streambucket",
        _ => "dynamodb",
    };
    Misread { message: format!("`{key}` cannot be `{value}`: {why}"), advice: format!("\"{key}\": \"{example}\"") }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-buckets-naming.html>
fn bucket_rule(name: &str) -> Option<&'static str> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let is_reserved = ["xn--", "sthree-", "amzn-s3-demo-", "aws"].iter().any(|start| name.starts_with(start))
        || ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"].iter().any(|end| name.ends_with(end));
    if !(3..=63).contains(&name.len()) || !name.bytes().all(is_inner) {
        return Some("a bucket's name has 3 to 63 lower-case letters, digits and hyphens");
    }
    if !is_edge(name.as_bytes().first()) || !is_edge(name.as_bytes().last()) {
        return Some("a bucket's name begins and ends with a letter or a digit");
    }
    is_reserved.then_some("AWS keeps names of this form for itself")
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-namespace-create.html>
fn name_rule(name: &str) -> Option<&'static str> {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_legal = (1..=255).contains(&name.len())
        && name.bytes().all(is_inner)
        && is_edge(name.as_bytes().first())
        && is_edge(name.as_bytes().last());
    (!is_legal).then_some("S3 Tables takes lower-case letters, digits and underscores, a letter or digit at both ends")
}

/// Takes comments and commas before a closing bracket out. Lines stay where they are, for messages that name one.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' if is_quoted => {
                plain.push(char);
                plain.extend(chars.next());
            }
            '"' => {
                is_quoted = !is_quoted;
                plain.push(char);
            }
            '/' if !is_quoted && chars.peek() == Some(&'/') => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
            }
            '/' if !is_quoted && chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                for next in chars.by_ref() {
                    if next == '\n' {
                        plain.push('\n');
                    }
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            '}' | ']' if !is_quoted => {
                let kept = plain.trim_end();
                if kept.ends_with(',') {
                    plain.remove(kept.len() - 1);
                }
                plain.push(char);
            }
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the blog prints it, with its trailing comma, and the comment of the sample's README.
    const BLOG: &str = r#"{
      "table_bucket_name": "streamtablebucket", // "a // b"
      "table_name": "transactions", /* , } */
      "namespace": "analytics",
      "bucket_name": "streambucket",
      "stream_type": "dynamodb", // or kinesis
    }"#;

    #[test]
    fn the_context_file_of_the_blog_is_read_with_its_comma_and_comments() {
        let context = Context::parse(BLOG).unwrap();
        assert_eq!(context.bucket_name, "streambucket");
        assert_eq!(context.stream_type, StreamType::DynamoDb);
        let flagged =
            BLOG.replacen('{', "{ \"@aws-cdk/core:newStyle\": true, \"availability-zones:account=1\": [],", 1);
        assert!(Context::parse(&flagged).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |from: &str, to: &str| Context::parse(&BLOG.replacen(from, to, 1)).unwrap_err().message;
        assert_eq!(message("table_name", "tabel_name"), "`tabel_name` is not a key of it");
        assert_eq!(message("\"namespace\": \"analytics\",", ""), "`namespace` is missing");
        assert!(message("\"dynamodb\"", "\"kafka\"").starts_with("`stream_type` cannot be `kafka`"));
        assert!(message("\"transactions\"", "\"My-Table\"").starts_with("`table_name` cannot be `My-Table`"));
        assert!(message("\"streambucket\"", "\"aws-bucket\"").starts_with("`bucket_name` cannot be `aws-bucket`"));
        assert!(message("\"streambucket\"", "7").starts_with("`bucket_name` cannot be `7`"));
        assert!(message("\"dynamodb\"", "\"dynamodb").starts_with("it is not JSON"));
    }
}
