//! The commit that puts rewritten files in the place of their input.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use iceberg::spec::{ManifestEntryRef, PrimitiveType, Schema, Type};
use iceberg::table::Table;
use uuid::Uuid;

use crate::commit::{Change, Replaced, RowDelta, Stamp};
use crate::data_file::WrittenFile;
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::GaveUp;
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::row_map::RowMap;
use crate::position_deletes::{DeletedRows, write_position_deletes};
use crate::scan::deleted_rows;

/// Heads that a rewrite is committed on before it gives way to the writers.
pub(crate) const ATTEMPTS_MAX: u32 = 12;

/// A finished rewrite. Its data files serve every attempt; deletes that came since the base are worked out for each.
pub(crate) struct Replacement {
    pub commit_id: Uuid,
    /// The table as the input was read from it.
    pub base: Listing,
    pub paths: Vec<String>,
    pub outputs: Vec<WrittenFile>,
    pub rows: RowMap,
    pub file_prefix: String,
    pub state: CommitState,
    /// Of the last attempt.
    pub followed_deletes: u64,
}

/// What attempts leave behind.
#[derive(Default)]
pub(crate) struct CommitState {
    pub attempt_number: u32,
    /// A request may have been applied: the new files may be in the table.
    pub is_doubtful: bool,
    /// It turned out that it was.
    pub has_landed: bool,
    pub gave_up: Option<GaveUp>,
}

impl CommitState {
    pub fn begin(&mut self, base: &Table, head: &Table) -> Result<()> {
        self.attempt_number += 1;
        if head.metadata().uuid() != base.metadata().uuid() {
            return Err(self.give_up(GaveUp::TableReplaced));
        }
        if self.attempt_number > ATTEMPTS_MAX {
            return Err(self.give_up(GaveUp::LostRace));
        }
        Ok(())
    }

    /// Ends the commit. The error only carries that through the commit loop.
    pub fn give_up(&mut self, reason: GaveUp) -> Error {
        let error = Error::new(ErrorKind::Refused, format!("compact, but {reason}"));
        self.gave_up = Some(reason);
        error
    }
}

#[async_trait]
impl Change for Replacement {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        self.state.begin(self.base.lake.table(), head)?;
        let base = self.base.lake.table().metadata();
        if !still_fits(base.current_schema(), head.metadata().current_schema()) {
            return Err(self.state.give_up(GaveUp::SchemaChanged));
        }
        let now = self.base.follow(head).await?;
        let inputs = match now.find(&self.paths) {
            Ok(inputs) => inputs,
            Err(path) => {
                // Without its snapshot, which may have expired, a commit is known by its files.
                let outputs: HashSet<&str> = self.outputs.iter().map(|file| file.path.as_str()).collect();
                self.state.has_landed = now.data().any(|file| outputs.contains(file.path()));
                return Err(self.state.give_up(GaveUp::FileGone(path)));
            }
        };
        if let Some(reason) = now.obstacle(&inputs) {
            return Err(self.state.give_up(GaveUp::Obstacle(reason.to_owned())));
        }
        let moved = self.moved_deletes(&now, &inputs).await?;
        self.followed_deletes = moved.iter().map(|moved| moved.positions.len() as u64).sum();
        let paths: HashSet<String> = self.paths.iter().cloned().collect();
        let paths = with_their_deletes(&now, paths).await?;
        let delete_prefix = format!("{}-{}", self.file_prefix, self.state.attempt_number);
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: self.outputs.clone(),
            delete_files: write_position_deletes(head, &delete_prefix, moved).await?,
            replaced: Some(Replaced {
                manifests: now.manifests_of(&paths),
                paths,
                sequence_number: self.base.lake.snapshot().map_or(0, |base| base.sequence_number()),
            }),
            stamp: found,
        })
    }

    fn doubted(&mut self) {
        self.state.is_doubtful = true;
    }
}

impl Replacement {
    /// The rows deleted since the base, where they are now.
    async fn moved_deletes(&mut self, now: &Listing, inputs: &[ListedFile]) -> Result<Vec<DeletedRows>> {
        let data: Vec<ManifestEntryRef> = inputs.iter().map(|file| file.entry.clone()).collect();
        let deletes = now.deletes().filter(ListedFile::is_position_deletes).map(|file| file.entry);
        let deleted = deleted_rows(&now.lake, &data, &deletes.collect::<Vec<_>>()).await?;
        let mut moved: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (file, deleted) in inputs.iter().zip(deleted) {
            let deleted = deleted.unwrap_or_default();
            let before = self.rows.deleted_before(file.path());
            if before.is_some_and(|before| !before.is_subset(&deleted)) {
                return Err(self.state.give_up(GaveUp::RolledBack));
            }
            // A row that was deleted at the base has no place.
            for (output, position) in deleted.iter().filter_map(|row| self.rows.place(file.path(), row)) {
                moved.entry(output).or_default().push(position);
            }
        }
        let moved = moved.into_iter().map(|(output, positions)| {
            let file = &self.outputs[output];
            DeletedRows {
                data_file_path: file.path.clone(),
                spec_id: file.spec_id,
                partition: file.data_file.partition().clone(),
                positions,
            }
        });
        Ok(moved.collect())
    }
}

/// `data_paths`, and the delete files that delete from nothing else that lives.
async fn with_their_deletes(now: &Listing, data_paths: HashSet<String>) -> Result<HashSet<String>> {
    let partitions: HashSet<_> = {
        let removed = now.data().filter(|file| data_paths.contains(file.path()));
        removed.map(|file| (file.spec_id, file.entry.data_file().partition().clone())).collect()
    };
    let is_near = |file: &ListedFile| {
        let (spec_id, partition) = file.partition();
        file.is_position_deletes() && partitions.contains(&(spec_id, partition.clone()))
    };
    let mut kept: Option<HashSet<String>> = None;
    let mut paths = data_paths.clone();
    for delete in now.deletes().filter(is_near) {
        let named = now.data_paths(&delete).await?;
        if !named.iter().any(|path| data_paths.contains(path)) {
            continue;
        }
        let kept = kept.get_or_insert_with(|| {
            let kept = now.data().filter(|file| !data_paths.contains(file.path()));
            kept.map(|file| file.path().to_owned()).collect()
        });
        if !named.iter().any(|path| kept.contains(path)) {
            paths.insert(delete.path().to_owned());
        }
    }
    Ok(paths)
}

/// Whether files written under `base` can be read under `head`: columns may come and go, and widen.
fn still_fits(base: &Schema, head: &Schema) -> bool {
    let fits = |id: i32| match (base.field_by_id(id), head.field_by_id(id)) {
        (Some(before), Some(now)) => match (before.field_type.as_ref(), now.field_type.as_ref()) {
            (Type::Primitive(before), Type::Primitive(now)) => before == now || is_wider(before, now),
            (before, now) => std::mem::discriminant(before) == std::mem::discriminant(now),
        },
        _ => true,
    };
    base.schema_id() == head.schema_id() || (1..=base.highest_field_id()).all(fits)
}

fn is_wider(before: &PrimitiveType, now: &PrimitiveType) -> bool {
    match (before, now) {
        (PrimitiveType::Int, PrimitiveType::Long) | (PrimitiveType::Float, PrimitiveType::Double) => true,
        (PrimitiveType::Decimal { precision, scale }, PrimitiveType::Decimal { precision: wider, scale: same }) => {
            wider >= precision && scale == same
        }
        _ => false,
    }
}
