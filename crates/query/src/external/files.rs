//! Finds the files of a table.

use futures::stream::{self, StreamExt, TryStreamExt};
use lake::{Error, ErrorKind, Result};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::external::{ExternalTable, Partition};

/// Folders that are listed at a time.
const CONCURRENT_LISTS: usize = 16;

/// A file and the values of its partition.
pub(super) struct ExternalFile {
    pub bucket: String,
    pub meta: ObjectMeta,
    pub partition_values: Vec<Option<String>>,
}

/// Bucket and prefix of `s3://bucket/prefix/`.
pub(crate) fn split_location(location: &str) -> Result<(&str, Path)> {
    let refused = || Error::new(ErrorKind::Refused, format!("read the location {location}. Try: s3://bucket/prefix/"));
    let rest = location.strip_prefix("s3://").or_else(|| location.strip_prefix("s3a://")).ok_or_else(refused)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refused());
    }
    Ok((bucket, Path::parse(prefix.trim_end_matches('/')).map_err(|_| refused())?))
}

/// The files of these partitions, or of the whole table where it has none. As in Hive, names that begin with a dot or an
/// underscore are no rows.
pub(super) async fn list(table: &ExternalTable, partitions: Vec<&Partition>) -> Result<Vec<ExternalFile>> {
    let whole = Partition { values: Vec::new(), location: table.location.clone() };
    let folders = if table.is_partitioned() { partitions } else { vec![&whole] };
    let mut lists = Vec::with_capacity(folders.len());
    for folder in folders {
        lists.push(async move { list_folder(table, folder).await });
    }
    let listed: Vec<Vec<ExternalFile>> = stream::iter(lists).buffered(CONCURRENT_LISTS).try_collect().await?;
    Ok(listed.into_iter().flatten().collect())
}

async fn list_folder(table: &ExternalTable, folder: &Partition) -> Result<Vec<ExternalFile>> {
    let (bucket, prefix) = split_location(&folder.location)?;
    let store = table.access.open(bucket)?;
    let failed = |error: object_store::Error| {
        Error::new(ErrorKind::Unexpected, format!("list {}", folder.location)).with_source(error)
    };
    let mut metas: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await.map_err(failed)?;
    metas.retain(|meta| meta.size > 0 && !is_hidden(&meta.location, &prefix));
    metas.sort_by(|one, other| one.location.cmp(&other.location));
    let keys = metas.iter().map(|meta| meta.location.to_string()).collect();
    table.access.check(bucket, keys).await?;
    let file = |meta| ExternalFile { bucket: bucket.to_owned(), meta, partition_values: folder.values.clone() };
    Ok(metas.into_iter().map(file).collect())
}

fn is_hidden(path: &Path, prefix: &Path) -> bool {
    let Some(mut parts) = path.prefix_match(prefix) else { return true };
    parts.any(|part| part.as_ref().starts_with(['.', '_']))
}
