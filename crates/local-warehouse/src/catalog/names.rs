//! Names and ARNs of S3 Tables, checked once at the door.

use std::fmt;

use crate::catalog::error::{CatalogError, Result};

/// `arn:aws:s3tables:<region>:<account>:bucket/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableBucketArn {
    pub region: String,
    pub account: String,
    pub name: String,
}

/// `<table bucket ARN>/table/<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableArn {
    pub bucket: TableBucketArn,
    pub id: String,
}

/// A table within its table bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

impl TableBucketArn {
    pub(crate) fn parse(arn: &str) -> Result<Self> {
        refuse_placeholder(arn)?;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let &["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return Err(CatalogError::invalid(format!(
                "{arn} is not the ARN of a table bucket: it must be arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME"
            )));
        };
        if service != "s3tables" || !partition.starts_with("aws") {
            return Err(CatalogError::invalid(format!(
                "{arn} is not the ARN of a table bucket: it must be arn:aws:s3tables:…, not arn:{partition}:{service}:…"
            )));
        }
        let Some(name) = resource.strip_prefix("bucket/").filter(|name| is_bucket_name(name)) else {
            return Err(CatalogError::invalid(format!(
                "{arn} is not the ARN of a table bucket: it must end with bucket/NAME"
            )));
        };
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CatalogError::invalid(format!("the account in {arn} must have twelve digits")));
        }
        Ok(Self { region: region.to_owned(), account: account.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for TableBucketArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:s3tables:{}:{}:bucket/{}", self.region, self.account, self.name)
    }
}

impl TableArn {
    pub(crate) fn parse(arn: &str) -> Result<Self> {
        let Some((bucket, id)) = arn.split_once("/table/") else {
            return Err(CatalogError::invalid(format!(
                "{arn} is not the ARN of a table: it must be arn:aws:s3tables:REGION:ACCOUNT:bucket/NAME/table/ID"
            )));
        };
        Ok(Self { bucket: TableBucketArn::parse(bucket)?, id: id.to_owned() })
    }
}

impl fmt::Display for TableArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/table/{}", self.bucket, self.id)
    }
}

/// Checks the name of a table bucket that is to be created.
pub(crate) fn check_table_bucket_name(name: &str) -> Result<()> {
    refuse_placeholder(name)?;
    const PREFIXES: [&str; 4] = ["xn--", "sthree-", "amzn-s3-demo-", "aws"];
    const SUFFIXES: [&str; 4] = ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"];
    let is_reserved =
        PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let is_framed =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_valid = is_bucket_name(name) && is_framed && !is_reserved && !name.contains('_');
    if is_valid {
        return Ok(());
    }
    Err(CatalogError::invalid(format!(
        "The specified bucket name is not valid: {name}. It must have 3 to 63 of a-z, 0-9 and -, begin and end with a \
         letter or digit, not begin with {}, nor end with {}",
        PREFIXES.join(", "),
        SUFFIXES.join(", ")
    )))
}

/// Checks the name of a namespace.
pub(crate) fn check_namespace_name(name: &str) -> Result<()> {
    check_lower_case_name("namespace", name)?;
    if name.starts_with("aws") {
        return Err(CatalogError::invalid(format!(
            "The specified namespace name is not valid: {name}. Names that begin with aws are reserved"
        )));
    }
    Ok(())
}

/// Checks the name of a table.
pub(crate) fn check_table_name(name: &str) -> Result<()> {
    check_lower_case_name("table", name)
}

/// What somebody was asked to replace by his own value and did not, as in the published table definitions.
pub(crate) fn refuse_placeholder(text: &str) -> Result<()> {
    let Some(start) = text.find("<<") else { return Ok(()) };
    let Some(length) = text[start..].find(">>") else { return Ok(()) };
    let placeholder = &text[start..start + length + 2];
    Err(CatalogError::invalid(format!(
        "The request still holds the placeholder {placeholder}: replace it with your own value"
    )))
}

fn check_lower_case_name(entity: &str, name: &str) -> Result<()> {
    refuse_placeholder(name)?;
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_framed = !name.starts_with('_') && !name.ends_with('_');
    let is_valid = (1..=255).contains(&name.len()) && name.bytes().all(is_inner) && is_framed;
    if is_valid {
        return Ok(());
    }
    Err(CatalogError::invalid(format!(
        "The specified {entity} name is not valid: {name:?}. It must have 1 to 255 of a-z, 0-9 and _, and begin and end \
         with a letter or digit"
    )))
}

fn is_bucket_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (3..=63).contains(&name.len()) && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_what_it_was_parsed_from() {
        let bucket = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket";
        assert_eq!(TableBucketArn::parse(bucket).unwrap().to_string(), bucket);
        let table = format!("{bucket}/table/0d0e");
        assert_eq!(TableArn::parse(&table).unwrap().to_string(), table);
    }

    #[test]
    fn another_services_arn_is_told_what_it_must_be() {
        let error = TableBucketArn::parse("arn:aws:s3:us-east-1:123456789012:bucket/my-iceberg-data").unwrap_err();
        assert!(error.to_string().contains("must be arn:aws:s3tables:"), "{error}");
    }

    #[test]
    fn a_placeholder_left_in_is_named() {
        let error = TableBucketArn::parse("<<your table bucket ARN>>").unwrap_err();
        assert!(error.to_string().contains("<<your table bucket ARN>>"), "{error}");
        assert!(check_namespace_name("a<<b>>").is_err());
    }

    #[test]
    fn names_follow_the_rules_of_aws() {
        for name in ["abc", "stream-table-bucket", "0-9", &"a".repeat(63)] {
            assert!(check_table_bucket_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            "a.b.c",
            "xn--abc",
            "sthree-abc",
            "amzn-s3-demo-abc",
            "awsabc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc--x-s3",
            "abc--table-s3",
            "../..",
            &"a".repeat(64),
        ] {
            assert!(check_table_bucket_name(name).is_err(), "{name}");
        }
        for name in ["a", "analytics", "a_1", &"a".repeat(255)] {
            assert!(check_namespace_name(name).is_ok() && check_table_name(name).is_ok(), "{name}");
        }
        for name in ["", "_a", "a_", "A", "a-b", "a.b", "a/b", "..", "ä", &"a".repeat(256)] {
            assert!(check_namespace_name(name).is_err() && check_table_name(name).is_err(), "{name}");
        }
        assert!(check_namespace_name("aws_things").is_err());
        assert!(check_table_name("aws_things").is_ok());
    }
}
