//! What is known of an object besides its bytes, and how it is kept behind them in the same file.
//!
//! A file is the object's bytes, then its attributes as JSON, then the length of that JSON and a magic word. So an object
//! and its attributes appear in one rename, and byte ranges need no offset.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"DYNAOBJ1";
const TRAILER_BYTES: u64 = 16;
/// Attributes are headers of one request: 8 KB on S3, with room for a long list of parts.
const ATTRIBUTES_BYTES_MAX: u64 = 1 << 20;

/// Attributes of a stored object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub size: u64,
    /// Without quotation marks.
    pub etag: String,
    pub last_modified_ms: i64,
    #[serde(flatten)]
    pub headers: ObjectHeaders,
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub checksums: Checksums,
    /// Sizes of the parts of a multipart upload, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part_sizes: Vec<u64>,
}

/// What a client attached to the object; given back as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectHeaders {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// As an HTTP date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-meta-*`, without the prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Checksums that the client asked S3 to keep, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A checksum of the parts' checksums rather than of the bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_composite: bool,
}

impl Checksums {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What stands in a file behind the object's bytes.
pub(crate) fn footer(attributes: &Attributes) -> io::Result<Vec<u8>> {
    let mut footer = serde_json::to_vec(attributes)?;
    let json_bytes = footer.len() as u64;
    footer.extend_from_slice(&json_bytes.to_le_bytes());
    footer.extend_from_slice(MAGIC);
    Ok(footer)
}

/// Reads the attributes of an object's file.
pub(crate) fn read_attributes(file: &File) -> io::Result<Attributes> {
    let file_bytes = file.metadata()?.len();
    // One read takes them all but for objects with many parts or much metadata.
    let mut tail = read_tail(file, file_bytes, 4096)?;
    let json_bytes = json_bytes(&tail)?;
    if json_bytes + TRAILER_BYTES > tail.len() as u64 {
        tail = read_tail(file, file_bytes, json_bytes + TRAILER_BYTES)?;
    }
    let end = tail.len() - TRAILER_BYTES as usize;
    let Some(start) = end.checked_sub(json_bytes as usize) else { return Err(damaged()) };
    let attributes: Attributes = serde_json::from_slice(&tail[start..end])?;
    let is_whole = attributes.size + json_bytes + TRAILER_BYTES == file_bytes;
    if is_whole { Ok(attributes) } else { Err(damaged()) }
}

fn read_tail(file: &File, file_bytes: u64, tail_bytes: u64) -> io::Result<Vec<u8>> {
    let tail_bytes = tail_bytes.min(file_bytes);
    let mut tail = vec![0; tail_bytes as usize];
    file.read_exact_at(&mut tail, file_bytes - tail_bytes)?;
    Ok(tail)
}

fn json_bytes(tail: &[u8]) -> io::Result<u64> {
    let Some((_, trailer)) = tail.split_last_chunk::<16>() else { return Err(damaged()) };
    let (length, magic) = trailer.split_at(8);
    let json_bytes = u64::from_le_bytes(length.try_into().map_err(|_| damaged())?);
    if magic != MAGIC || json_bytes > ATTRIBUTES_BYTES_MAX {
        return Err(damaged());
    }
    Ok(json_bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is not an object of this warehouse, or was cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_on_disk_are_pinned() {
        let attributes = Attributes { size: 3, etag: "e".into(), last_modified_ms: 7, ..Default::default() };
        let json = br#"{"size":3,"etag":"e","last_modified_ms":7}"#;
        let mut expected = json.to_vec();
        expected.extend_from_slice(&[42, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(b"DYNAOBJ1");
        assert_eq!(footer(&attributes).unwrap(), expected);
    }
}
