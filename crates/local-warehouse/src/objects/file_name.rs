//! Where an object lies on disk: keys are data, and no key can name a file outside of its bucket's folder.
//!
//! Every `/` of a key begins a new directory. What stands between two of them is percent-encoded, except for lower-case
//! letters, digits, `-`, `_`, `.` and `=`, so that neither upper and lower case nor Unicode normal forms can collide on a
//! file system that folds them. A suffix tells kinds apart and keeps `.`, `..` and the empty name from ever being a
//! file name: `.o` is an object, `.d` a directory, and `.c` a piece of a segment too long for one name.

use std::path::{Path, PathBuf};

/// File systems take 255 bytes for a name; the suffix needs two of them.
const PIECE_BYTES_MAX: usize = 240;

/// What a directory entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Object,
    Directory,
    /// The segment goes on inside of this directory.
    Continuation,
}

/// The file of the object `key` beneath its bucket's `root`.
pub(crate) fn object_path(root: &Path, key: &str) -> PathBuf {
    let mut path = root.to_path_buf();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let encoded = encode(segment);
        let mut rest = encoded.as_str();
        while rest.len() > PIECE_BYTES_MAX {
            let (piece, tail) = rest.split_at(PIECE_BYTES_MAX);
            path.push(format!("{piece}.c"));
            rest = tail;
        }
        let suffix = if segments.peek().is_some() { "d" } else { "o" };
        path.push(format!("{rest}.{suffix}"));
    }
    path
}

/// Takes a directory entry apart: what it stands for, and its piece of a segment, still encoded. `None` for a file that
/// is not ours.
pub(crate) fn parse_entry(name: &str) -> Option<(EntryKind, &str)> {
    let (piece, suffix) = name.rsplit_once('.')?;
    let kind = match suffix {
        "o" => EntryKind::Object,
        "d" => EntryKind::Directory,
        "c" => EntryKind::Continuation,
        _ => return None,
    };
    Some((kind, piece))
}

/// The segment that was encoded. `None` where it is not UTF-8, so not one of ours.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    percent_encoding::percent_decode_str(encoded).decode_utf8().ok().map(|segment| segment.into_owned())
}

fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'=' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: &str) {
        assert_eq!(object_path(Path::new("/root"), key), Path::new("/root").join(expected), "{key}");
    }

    #[test]
    fn a_key_becomes_a_path_beneath_its_root() {
        check("data/part-0.parquet", "data.d/part-0.parquet.o");
        check("a", "a.o");
        check("a/", "a.d/.o");
        check("a//b", "a.d/.d/b.o");
        check("/a", ".d/a.o");
        check("Amount", "%41mount.o");
        check("ä", "%c3%a4.o");
        check("%2e", "%252e.o");
    }

    #[test]
    fn dots_never_stand_alone() {
        check("..", "...o");
        check("../..", "...d/...o");
        check(".", "..o");
        check("a/../../b", "a.d/...d/...d/b.o");
        check("\0", "%00.o");
    }

    #[test]
    fn a_long_segment_is_cut_into_pieces_that_file_systems_take() {
        let path = object_path(Path::new(""), &"ä".repeat(512));
        assert!(path.iter().all(|name| name.len() <= 255));
        let longest = ["%/"; 512].concat();
        assert!(object_path(Path::new(""), &longest).as_os_str().len() < 3_300);
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for segment in ["", "a", ".", "..", "Ä%2e\0", "x=1", "\u{1F600}"] {
            assert_eq!(decode(&encode(segment)).as_deref(), Some(segment));
        }
        assert_eq!(decode("%ff"), None);
    }
}
