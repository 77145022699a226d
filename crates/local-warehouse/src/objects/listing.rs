//! Keys of a bucket in the order of their UTF-8 bytes, as S3 lists them.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::objects::attributes::Attributes;
use crate::objects::file_name::{self, EntryKind};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListingRequest {
    pub prefix: String,
    /// Keys that have this behind the prefix are rolled up into one common prefix.
    pub delimiter: Option<String>,
    /// Only keys and common prefixes greater than this.
    pub after: String,
    /// Objects and common prefixes together.
    pub count_max: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct ListedObject {
    pub key: String,
    pub attributes: Attributes,
}

/// One page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub objects: Vec<ListedObject>,
    pub common_prefixes: Vec<String>,
    /// Where the next page goes on, if there is one.
    pub next_after: Option<String>,
}

/// Lists the objects beneath a bucket's folder.
pub(crate) fn list(root: &Path, request: &ListingRequest) -> io::Result<Listing> {
    let mut page = Page { request, listing: Listing::default(), last: String::new() };
    if request.count_max > 0 {
        let _ = walk(root, String::new(), &mut page)?;
    }
    Ok(page.listing)
}

/// Tells whether no object lies beneath a bucket's folder.
pub(crate) fn is_empty(root: &Path) -> io::Result<bool> {
    let request = ListingRequest { count_max: 1, ..ListingRequest::default() };
    Ok(list(root, &request)?.objects.is_empty())
}

struct Page<'a> {
    request: &'a ListingRequest,
    listing: Listing,
    /// The last key or common prefix that was taken.
    last: String,
}

impl Page<'_> {
    /// Whether keys that begin with `start` may be on this page.
    fn wants(&self, start: &str) -> bool {
        let request = self.request;
        let has_prefix = start.starts_with(&request.prefix) || request.prefix.starts_with(start);
        let is_passed = start < request.after.as_str() && !request.after.starts_with(start);
        let is_rolled_up = request.delimiter.is_some()
            && self.listing.common_prefixes.last().is_some_and(|rolled_up| start.starts_with(rolled_up.as_str()));
        let is_skipped = self.common_prefix(start).is_some_and(|prefix| prefix == request.after);
        has_prefix && !is_passed && !is_rolled_up && !is_skipped
    }

    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.request.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let behind = key.strip_prefix(self.request.prefix.as_str())?;
        let at = behind.find(delimiter)?;
        Some(&key[..self.request.prefix.len() + at + delimiter.len()])
    }

    fn visit(&mut self, key: String, path: &Path) -> io::Result<ControlFlow<()>> {
        let request = self.request;
        if !key.starts_with(&request.prefix) || key.as_str() <= request.after.as_str() || !self.wants(&key) {
            return Ok(ControlFlow::Continue(()));
        }
        if self.listing.objects.len() + self.listing.common_prefixes.len() == request.count_max {
            self.listing.next_after = Some(self.last.clone());
            return Ok(ControlFlow::Break(()));
        }
        match self.common_prefix(&key).map(str::to_owned) {
            Some(prefix) => {
                self.last.clone_from(&prefix);
                self.listing.common_prefixes.push(prefix);
            }
            None => {
                // The object may be deleted while we walk.
                let Some(object) = present(super::open(path))? else { return Ok(ControlFlow::Continue(())) };
                self.last.clone_from(&key);
                self.listing.objects.push(ListedObject { key, attributes: object.attributes });
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Visits the objects beneath `directory`, whose keys begin with `start`, in order.
fn walk(directory: &Path, start: String, page: &mut Page<'_>) -> io::Result<ControlFlow<()>> {
    let mut entries = Vec::new();
    read_level(directory, &start, "", &mut entries)?;
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, is_directory, path) in entries {
        let flow = match is_directory {
            true if page.wants(&name) => walk(&path, name, page)?,
            true => continue,
            false => page.visit(name, &path)?,
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Collects (key or key prefix, is it a directory, path) of one level. A directory's name ends with `/`, so that it sorts
/// as the keys beneath it do.
fn read_level(
    directory: &Path,
    start: &str,
    piece_before: &str,
    entries: &mut Vec<(String, bool, PathBuf)>,
) -> io::Result<()> {
    let Some(found) = present(fs::read_dir(directory))? else { return Ok(()) };
    for entry in found {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some((kind, piece)) = file_name.to_str().and_then(file_name::parse_entry) else { continue };
        let encoded = format!("{piece_before}{piece}");
        if kind == EntryKind::Continuation {
            read_level(&entry.path(), start, &encoded, entries)?;
            continue;
        }
        let Some(segment) = file_name::decode(&encoded) else { continue };
        let is_directory = kind == EntryKind::Directory;
        let end = if is_directory { "/" } else { "" };
        entries.push((format!("{start}{segment}{end}"), is_directory, entry.path()));
    }
    Ok(())
}

fn present<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if super::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
