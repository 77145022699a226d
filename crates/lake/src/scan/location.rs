//! Where an object lies: the store that holds it and its key there.

use object_store::path::Path;

use crate::error::Result;
use crate::storage::{Place, bad_location};

/// A location of Iceberg metadata, as DataFusion needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// `s3://bucket/`, or `file:///`.
    pub store_url: String,
    /// The key as it is: a `%` in a location stands for itself, nothing is encoded or decoded.
    pub path: Path,
}

impl Location {
    pub fn parse(location: &str) -> Result<Self> {
        let place = Place::parse(location)?;
        let path = Path::parse(place.key).map_err(|error| bad_location(location).with_source(error))?;
        Ok(Self { store_url: place.root(), path })
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
        check("s3://bucket/a/n=x%2Fy%20z/b.parquet", "s3://bucket/", "a/n=x%2Fy%20z/b.parquet");
        check("s3a://bucket/a b/ü.parquet", "s3://bucket/", "a b/ü.parquet");
        check("file:///tmp/a/b.parquet", "file:///", "tmp/a/b.parquet");
    }

    #[test]
    fn a_location_that_climbs_is_refused() {
        assert!(Location::parse("s3://bucket/a/../b").is_err());
    }
}
