//! Where an object lies: the store that holds it and its key there.

use object_store::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// A location of Iceberg metadata, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// `s3://bucket`, or `file://`.
    pub store_url: String,
    /// The key as it is: a `%` in a location stands for itself, nothing is encoded or decoded.
    pub path: Path,
}

impl Location {
    pub fn parse(location: &str) -> Result<Self> {
        let refused = || Error::new(ErrorKind::Refused, format!("understand the location {location}"));
        let (scheme, rest) = location.split_once("://").unwrap_or_else(|| match location.strip_prefix("file:") {
            Some(path) => ("file", path),
            None => ("file", location),
        });
        let (authority, key) = match scheme {
            "file" => ("", rest),
            _ => rest.split_once('/').ok_or_else(refused)?,
        };
        let path = Path::parse(key).map_err(|error| refused().with_source(error))?;
        Ok(Self { store_url: format!("{scheme}://{authority}"), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_taken_apart_without_decoding_or_encoding() {
        let check = |location: &str, store_url: &str, path: &str| {
            let parsed = Location::parse(location).unwrap();
            assert_eq!((parsed.store_url.as_str(), parsed.path.as_ref()), (store_url, path), "{location}");
        };
        check("s3://bucket/a/b.parquet", "s3://bucket", "a/b.parquet");
        check("s3://bucket/a/n=x%2Fy%20z/b.parquet", "s3://bucket", "a/n=x%2Fy%20z/b.parquet");
        check("s3a://bucket/a b/ü.parquet", "s3a://bucket", "a b/ü.parquet");
        check("file:///tmp/a/b.parquet", "file://", "tmp/a/b.parquet");
        check("file:/tmp/a/b.parquet", "file://", "tmp/a/b.parquet");
        check("/tmp/a/b.parquet", "file://", "tmp/a/b.parquet");
    }

    #[test]
    fn a_location_that_climbs_is_refused() {
        assert!(Location::parse("s3://bucket/a/../b").is_err());
        assert!(Location::parse("s3://bucket").is_err());
    }
}
