//! Which file a location means, however it is spelled.

use percent_encoding::percent_decode_str;

use crate::error::Result;
use crate::storage::Place;

/// Times that a location is decoded at most; each round is for one more writer that encoded it.
const DECODINGS_MAX: usize = 4;

/// A file's location in 128 bits. Should two files ever share a key, one that is needed keeps the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey(u128);

impl FileKey {
    pub fn of(location: &str) -> Result<Self> {
        Ok(Self(xxhash_rust::xxh3::xxh3_128(normalised(location)?.as_bytes())))
    }
}

/// Whether `location` lies below `folder`. Only such files are ours to delete: anybody may write a path into a manifest.
pub(crate) fn is_below(location: &str, folder: &str) -> Result<bool> {
    let is_plain = |segment: &str| segment != "." && segment != "..";
    let (location, folder) = (normalised(location)?, normalised(folder)?);
    let inner = location.strip_prefix(&folder).and_then(|rest| rest.strip_prefix('/'));
    Ok(inner.is_some_and(|inner| inner.split('/').all(is_plain)))
}

/// One spelling for all that engines use for the same object: `s3a`, doubled slashes, percent-encoding. Where a `%` is
/// part of the name, two files may come out the same, and both are kept while either is needed.
fn normalised(location: &str) -> Result<String> {
    let place = Place::parse(location)?;
    let mut key = place.key.to_owned();
    for _ in 0..DECODINGS_MAX {
        let decoded = percent_decode_str(&key).decode_utf8_lossy().into_owned();
        if decoded == key {
            break;
        }
        key = decoded;
    }
    let mut normalised = format!("{}://{}", place.scheme, place.bucket);
    for segment in key.split('/').filter(|segment| !segment.is_empty()) {
        normalised.push('/');
        normalised.push_str(segment);
    }
    Ok(normalised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_file_have_one_key() {
        let check = |one: &str, other: &str, is_same: bool| {
            assert_eq!(FileKey::of(one).unwrap() == FileKey::of(other).unwrap(), is_same, "{one} {other}");
        };
        check("s3://b/t/data/a.parquet", "s3a://b/t/data/a.parquet", true);
        check("s3://b/t/data/a.parquet", "s3n://b/t//data/a.parquet", true);
        check("s3://b/t/d=a b/x", "s3://b/t/d=a%20b/x", true);
        check("s3://b/t/d=a%2Fb/x", "s3://b/t/d%3Da%252Fb/x", true);
        check("file:///tmp/t/x", "file:/tmp/t/x", true);
        check("s3://b/t/x", "s3://c/t/x", false);
        check("s3://b/t/x", "s3://b/t/X", false);
        check("s3://b/t/x", "file:///b/t/x", false);
    }

    #[test]
    fn only_what_lies_below_a_folder_is_in_it() {
        let check = |location: &str, folder: &str, is_in: bool| {
            assert_eq!(is_below(location, folder).unwrap(), is_in, "{location} {folder}");
        };
        check("s3://b/t/data/x", "s3://b/t", true);
        check("s3a://b/t/data/x", "s3://b/t/", true);
        check("s3://b/t/x", "s3://b", true);
        check("s3://b/t2/x", "s3://b/t", false);
        check("s3://b/t/../u/x", "s3://b/t", false);
        check("s3://b/t/%2e%2e/u/x", "s3://b/t", false);
        check("s3://c/t/x", "s3://b/t", false);
        check("s3://b/t", "s3://b/t", false);
    }
}
