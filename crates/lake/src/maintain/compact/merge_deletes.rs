//! Many position-delete files into few. The data files stay, and so does every row.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use iceberg::table::Table;
use tracing::info;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::commit::{Change, Replaced, RowDelta, Stamp, commit};
use crate::error::Result;
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::replacement::CommitState;
use crate::maintain::compact::{Done, GaveUp, Outcome, TableFiles, Task};
use crate::position_deletes::{DeletedRows, write_position_deletes};

/// Runs a task of [`Work::MergeDeletes`](crate::maintain::compact::Work).
pub(crate) async fn merge_deletes(catalog: &Catalog, files: &TableFiles, task: &Task) -> Result<Outcome> {
    let head = catalog.load_table(files.table()).await?;
    let mut merge = DeleteMerge {
        commit_id: catalog.ambient().uuid(),
        base: &files.listing,
        paths: task.paths.iter().map(String::as_str).collect(),
        state: CommitState::default(),
        done: None,
    };
    match commit(catalog, head, &mut merge).await {
        Ok(landed) => {
            let done = Done { snapshot_id: Some(landed.snapshot_id), ..merge.done.unwrap_or_default() };
            info!(
                table = %files.table(), partition = task.partition, snapshot_id = landed.snapshot_id,
                files_before = done.files_before, files_after = done.files_after, "merged delete files"
            );
            Ok(Outcome::Done(done))
        }
        Err(error) => match merge.state.gave_up {
            Some(GaveUp::FileGone(_)) => Ok(Outcome::Done(Done::default())),
            Some(reason) => Ok(Outcome::GaveUp(reason)),
            None => Err(error),
        },
    }
}

/// Everything is worked out on each head: delete files are small, and what others did meanwhile is then no conflict.
struct DeleteMerge<'a> {
    commit_id: Uuid,
    base: &'a Listing,
    paths: HashSet<&'a str>,
    state: CommitState,
    /// What the last attempt does.
    done: Option<Done>,
}

#[async_trait]
impl Change for DeleteMerge<'_> {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        self.state.begin(self.base.lake.table(), head)?;
        let now = self.base.follow(head).await?;
        let merged: Vec<ListedFile> =
            now.deletes().filter(|file| file.is_position_deletes() && self.paths.contains(file.path())).collect();
        if merged.is_empty() {
            return Err(self.state.give_up(GaveUp::FileGone("what there was to merge".to_owned())));
        }

        let deletes = deleted_by(&now, &merged).await?;
        let file_prefix = format!("{}-{}", self.commit_id, self.state.attempt_number);
        let delete_files = write_position_deletes(head, &file_prefix, deletes).await?;
        self.done = Some(Done {
            files_before: merged.len(),
            files_after: delete_files.len(),
            bytes_before: merged.iter().map(|file| file.entry.file_size_in_bytes()).sum(),
            bytes_after: delete_files.iter().map(|file| file.data_file.file_size_in_bytes()).sum(),
            ..Done::default()
        });
        let paths: HashSet<String> = merged.iter().map(|file| file.path().to_owned()).collect();
        let replaced = Replaced { manifests: now.manifests_of(&paths), paths, sequence_number: 0 };
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: Vec::new(),
            delete_files,
            replaced: Some(replaced),
            stamp: found,
        })
    }
}

/// The rows of live data files that the delete files delete.
async fn deleted_by(now: &Listing, deletes: &[ListedFile]) -> Result<Vec<DeletedRows>> {
    let live: HashMap<String, ListedFile> = now.data().map(|file| (file.path().to_owned(), file)).collect();
    let mut deleted: HashMap<String, DeletedRows> = HashMap::new();
    for delete in deletes {
        let sequence_number = delete.sequence_number()?;
        for (path, positions) in &now.lake.delete_file(&delete.entry).await?.rows {
            let Some(file) = live.get(path) else { continue };
            // A delete does not reach data that was written after it.
            if sequence_number < file.sequence_number()? {
                continue;
            }
            let (spec_id, partition) = file.partition();
            let of_file = deleted.entry(path.clone()).or_insert_with(|| DeletedRows {
                data_file_path: path.clone(),
                spec_id,
                partition: partition.clone(),
                positions: Vec::new(),
            });
            of_file.positions.extend(positions.iter().copied().map(u64::from));
        }
    }
    Ok(deleted.into_values().collect())
}
