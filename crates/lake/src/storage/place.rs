//! Locations such as `s3://bucket/key`, taken apart.

use crate::error::{Error, ErrorKind, Result};

/// A location taken apart. On the local disk the bucket is empty.
pub(crate) struct Place<'a> {
    pub scheme: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
}

impl<'a> Place<'a> {
    pub fn parse(location: &'a str) -> Result<Self> {
        let (scheme, rest) = location.split_once(':').ok_or_else(|| bad_location(location))?;
        match (scheme, rest.strip_prefix("//")) {
            ("file", rest_of_url) => {
                let path = rest_of_url.unwrap_or(rest);
                let key = path.strip_prefix('/').ok_or_else(|| bad_location(location))?;
                Ok(Self { scheme: "file", bucket: "", key })
            }
            // The Hadoop names of the same thing.
            ("s3" | "s3a" | "s3n", Some(rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                match bucket {
                    "" => Err(bad_location(location)),
                    bucket => Ok(Self { scheme: "s3", bucket, key }),
                }
            }
            _ => Err(bad_location(location)),
        }
    }

    pub fn root(&self) -> String {
        format!("{}://{}/", self.scheme, self.bucket)
    }

    /// The place as a prefix of what lies below it.
    pub fn prefix(&self) -> String {
        match self.key {
            "" => self.root(),
            key => format!("{}{}/", self.root(), key.trim_end_matches('/')),
        }
    }
}

pub(crate) fn bad_location(location: &str) -> Error {
    Error::new(ErrorKind::Refused, format!("open location {location}, which is neither file: nor s3:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(location: &str, expected: Option<(&str, &str)>) {
        let place = Place::parse(location).ok();
        assert_eq!(place.map(|place| (place.bucket, place.key)), expected, "{location}");
    }

    #[test]
    fn a_location_is_a_bucket_and_a_key() {
        check("s3://bucket/a/b%20c", Some(("bucket", "a/b%20c")));
        check("s3a://bucket", Some(("bucket", "")));
        check("file:///tmp/x", Some(("", "tmp/x")));
        check("file:/tmp/x", Some(("", "tmp/x")));
        check("s3:///key", None);
        check("gs://bucket/key", None);
        check("relative/path", None);
    }
}
