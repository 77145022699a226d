//! The branches and tags of a table.

use std::collections::BTreeMap;

use iceberg::spec::{SnapshotReference, TableMetadata};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    refs: BTreeMap<String, SnapshotReference>,
}

/// Branches and tags by name. The iceberg crate tells one whose name is known, but no names; the JSON has them.
pub(crate) fn refs(metadata: &TableMetadata) -> Result<BTreeMap<String, SnapshotReference>> {
    let read = || serde_json::from_slice::<Written>(&serde_json::to_vec(metadata)?);
    let written = read().map_err(|error| {
        Error::new(ErrorKind::Unexpected, "read the branches and tags of a table".to_owned()).with_source(error)
    })?;
    Ok(written.refs)
}
