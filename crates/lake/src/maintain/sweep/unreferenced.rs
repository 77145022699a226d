//! Which of the listed files nothing names.

use std::collections::HashSet;

use object_store::ObjectMeta;

use crate::error::Result;
use crate::maintain::file_key::FileKey;

/// What a catalog on a plain file system finds the current metadata by; no metadata names it.
const VERSION_HINT: &str = "version-hint.text";

/// The files that are not `needed`. `bucket` stands before a key to make it a location.
pub(crate) fn unreferenced(bucket: &str, files: Vec<ObjectMeta>, needed: &HashSet<FileKey>) -> Result<Vec<ObjectMeta>> {
    let mut unreferenced = Vec::new();
    for file in files {
        let is_needed = needed.contains(&FileKey::of(&format!("{bucket}{}", file.location))?);
        if !is_needed && file.location.filename() != Some(VERSION_HINT) {
            unreferenced.push(file);
        }
    }
    Ok(unreferenced)
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    fn check(listed: &[&str], needed: &[&str], expected: &[&str]) {
        let file = |key: &&str| ObjectMeta {
            location: Path::parse(key).unwrap(),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        let needed = needed.iter().map(|location| FileKey::of(location).unwrap()).collect();
        let found = unreferenced("s3://b/", listed.iter().map(file).collect(), &needed).unwrap();
        let keys: Vec<&str> = found.iter().map(|file| file.location.as_ref()).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_file_that_nothing_names_is_unreferenced() {
        check(&["t/data/a", "t/data/b"], &["s3://b/t/data/a"], &["t/data/b"]);
    }

    #[test]
    fn a_file_that_is_spelled_otherwise_is_the_same_file() {
        check(&["t/data/a", "t/d=x y/b"], &["s3a://b/t//data/a", "s3://b/t/d=x%20y/b"], &[]);
        check(&["t/d=x%2Fy/a"], &["s3://b/t/d=x%2Fy/a"], &[]);
        check(&["t/d=x%2Fy/a"], &["s3://b/t/d%3Dx%252Fy/a"], &[]);
    }

    #[test]
    fn a_file_of_the_same_name_elsewhere_does_not_count() {
        check(&["t/data/a"], &["s3://c/t/data/a", "s3://b/t2/data/a", "file:///t/data/a"], &["t/data/a"]);
    }

    #[test]
    fn the_hint_of_a_plain_catalog_stays() {
        check(&["t/metadata/version-hint.text"], &[], &[]);
    }
}
