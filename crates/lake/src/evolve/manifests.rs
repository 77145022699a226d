//! Manifests written again under a widened schema.
//!
//! A manifest keeps the bounds of its files in the types of its own time. Readers built on the `iceberg` crate hold a
//! bound of type int against a predicate of type long, find the two not comparable, and leave the file out: rows are
//! missing from their answer, and nothing says so. Under the new schema the bounds have the new type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::spec::{Manifest, PrimitiveType};
use iceberg::table::Table;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::commit::{Change, Replaced, RowDelta, Stamp, commit};
use crate::error::{Error, Result};
use crate::evolve::SchemaChange;

/// Whether the bounds of a column change their type with it. Those of a decimal do not.
pub(super) fn changes_bounds(change: &SchemaChange) -> bool {
    matches!(change, SchemaChange::Widen { to: PrimitiveType::Long | PrimitiveType::Double, .. })
}

/// Writes all manifests of the table again, in one snapshot that changes no row, and gives the table with it.
pub(super) async fn rewrite(catalog: &Catalog, table: Table) -> Result<Table> {
    if table.metadata().current_snapshot().is_none() {
        return Ok(table);
    }
    let mut rewrite = Rewrite { commit_id: catalog.ambient().uuid() };
    Ok(commit(catalog, table, &mut rewrite).await?.table)
}

struct Rewrite {
    commit_id: Uuid,
}

#[async_trait]
impl Change for Rewrite {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        let replaced = Replaced { paths: HashSet::new(), manifests: manifests(head).await?, sequence_number: 0 };
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: Vec::new(),
            delete_files: Vec::new(),
            replaced: Some(replaced),
            stamp: found,
        })
    }
}

/// The manifests of the head that list anything, by location.
async fn manifests(head: &Table) -> Result<HashMap<String, Arc<Manifest>>> {
    let Some(snapshot) = head.metadata().current_snapshot() else { return Ok(HashMap::new()) };
    let list = head.manifest_list_reader(snapshot).load().await;
    let list = list.map_err(|error| Error::from_iceberg(format!("read {}", snapshot.manifest_list()), error))?;
    let mut loaded = HashMap::new();
    for file in list.entries().iter().filter(|file| file.has_added_files() || file.has_existing_files()) {
        let manifest = file.load_manifest(head.file_io()).await;
        let manifest =
            manifest.map_err(|error| Error::from_iceberg(format!("read manifest {}", file.manifest_path), error))?;
        loaded.insert(file.manifest_path.clone(), Arc::new(manifest));
    }
    Ok(loaded)
}
