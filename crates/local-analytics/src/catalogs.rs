//! What names of catalogs and databases stand for: Athena, Glue and Lake Formation spell the same ones differently.
//!
//! Every table bucket is a catalog `s3tablescatalog/<bucket>`, its namespaces are databases. The default catalog holds
//! databases that people create, which are links to namespaces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lakehouse::Region;
use crate::store::{Document, Result, Store};

/// The federated catalog above all table buckets.
pub(crate) const TABLE_BUCKETS: &str = "s3tablescatalog";
pub(crate) const DEFAULT_CATALOG: &str = "AwsDataCatalog";
/// The database that is always there.
pub(crate) const DEFAULT_DATABASE: &str = "default";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CatalogName {
    /// `AwsDataCatalog`, the account's own.
    Default,
    /// `s3tablescatalog`.
    TableBuckets,
    /// `s3tablescatalog/<bucket>`.
    TableBucket(String),
}

impl CatalogName {
    /// Reads a name as any of the services has it; `None` where it is of no form that we know.
    pub(crate) fn parse(name: Option<&str>, account_id: &str) -> Option<Self> {
        let name = name.unwrap_or_default();
        let name = match name.strip_prefix("arn:") {
            Some(_) => name.split_once(":catalog").map(|(_, rest)| rest.trim_start_matches('/'))?,
            None => name,
        };
        let name = name.strip_prefix(account_id).map_or(name, |rest| rest.strip_prefix(':').unwrap_or(rest));
        if name.is_empty() || name.eq_ignore_ascii_case(DEFAULT_CATALOG) {
            return Some(Self::Default);
        }
        let (first, bucket) = name.split_once('/').map_or((name, None), |(first, bucket)| (first, Some(bucket)));
        match bucket {
            _ if !first.eq_ignore_ascii_case(TABLE_BUCKETS) => None,
            None => Some(Self::TableBuckets),
            Some(bucket) if bucket.is_empty() || bucket.contains('/') => None,
            Some(bucket) => Some(Self::TableBucket(bucket.to_owned())),
        }
    }

    /// As Glue names it behind the account: `s3tablescatalog/<bucket>`; nothing for the default catalog.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Default => String::new(),
            Self::TableBuckets => TABLE_BUCKETS.to_owned(),
            Self::TableBucket(bucket) => format!("{TABLE_BUCKETS}/{bucket}"),
        }
    }

    /// Glue's id: `<account>` or `<account>:s3tablescatalog/<bucket>`.
    pub(crate) fn id(&self, account_id: &str) -> String {
        match self {
            Self::Default => account_id.to_owned(),
            _ => format!("{account_id}:{}", self.path()),
        }
    }
}

/// A database of the default catalog. Its name is the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Database {
    pub description: Option<String>,
    pub location: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The namespace that the database is a link to.
    pub target: Option<Target>,
    pub created_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub table_bucket: String,
    pub namespace: String,
}

impl Document for Database {
    const KIND: &'static str = "database";
}

/// The namespace that a database of a catalog is; `None` where it is none: an empty database, or no such one.
pub(crate) fn namespace(
    store: &Store,
    region: &Region,
    catalog: &CatalogName,
    database: &str,
) -> Result<Option<Target>> {
    let database = database.to_lowercase();
    match catalog {
        CatalogName::TableBuckets => Ok(None),
        CatalogName::TableBucket(bucket) => Ok(Some(Target { table_bucket: bucket.clone(), namespace: database })),
        CatalogName::Default => {
            let found: Option<Database> = store.get(&region.key(), &database)?;
            Ok(found.and_then(|database| database.target))
        }
    }
}

/// Tells whether a name fits a pattern in which `*` is anything and `|` parts alternatives, whatever the case.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    pattern.to_lowercase().split('|').any(|pattern| {
        let pattern = pattern.replace(".*", "*");
        let parts: Vec<&str> = pattern.split('*').collect();
        let [first, middle @ .., last] = parts.as_slice() else { return pattern == name };
        let Some(mut rest) = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
        middle.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_has_many_spellings() {
        let parse = |name| CatalogName::parse(Some(name), "000000000000");
        let bucket = Some(CatalogName::TableBucket("lake".into()));
        for name in [
            "s3tablescatalog/lake",
            "000000000000:s3tablescatalog/lake",
            "arn:aws:glue:us-east-1:000000000000:catalog/s3tablescatalog/lake",
        ] {
            assert_eq!(parse(name), bucket, "{name}");
        }
        for name in ["AwsDataCatalog", "awsdatacatalog", "000000000000", "arn:aws:glue:us-east-1:000000000000:catalog"]
        {
            assert_eq!(parse(name), Some(CatalogName::Default), "{name}");
        }
        assert_eq!(parse("s3tablescatalog"), Some(CatalogName::TableBuckets));
        for name in ["hive", "s3tablescatalog/", "s3tablescatalog/a/b", "111122223333:s3tablescatalog/lake"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_pattern_has_stars_and_alternatives() {
        let fits = |pattern, name| matches(pattern, name);
        assert!(fits("trans*", "transactions") && fits("*", "t") && fits("*ACT*", "transactions"));
        assert!(fits("orders|trans.*", "transactions") && fits("orders", "Orders"));
        assert!(!fits("trans", "transactions") && !fits("a*a", "a") && !fits("*b*b*", "abc"));
    }
}
