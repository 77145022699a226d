//! Data files written anew: fuller, without their deleted rows, sorted where that is asked for.

use tracing::{debug, info};

use crate::catalog::Catalog;
use crate::commit::commit;
use crate::data_file::WrittenFile;
use crate::error::Result;
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::replacement::{CommitState, Replacement};
use crate::maintain::compact::write::Job;
use crate::maintain::compact::{Done, GaveUp, Outcome, Progress, RowOrder, TableFiles, Task};

/// Runs a task of [`Work::Rewrite`](crate::maintain::compact::Work). A task that is dropped leaves files behind, which
/// are in no snapshot and found as orphans.
pub(crate) async fn rewrite(
    catalog: &Catalog,
    files: &TableFiles,
    task: &Task,
    order: RowOrder,
    target_file_bytes: u64,
    progress: &Progress,
) -> Result<Outcome> {
    let (base, inputs) = match find(catalog, files, &task.paths).await? {
        Ok(found) => found,
        Err(reason) => return Ok(Outcome::GaveUp(reason)),
    };
    let commit_id = catalog.ambient().uuid();
    let file_prefix = format!("compact-{commit_id}");
    let mut outputs = Vec::new();
    let job = Job { base: &base, inputs: &inputs, order, target_file_bytes, file_prefix: &file_prefix };
    let rows = match job.write(progress, &mut outputs).await {
        Ok(rows) => rows,
        Err(error) => {
            discard(&base, &outputs).await;
            // Files of an old snapshot may be deleted once it has expired.
            return match find(catalog, files, &task.paths).await {
                Ok(Err(reason)) => Ok(Outcome::GaveUp(reason)),
                _ => Err(error),
            };
        }
    };
    let replacement = Replacement {
        commit_id,
        base,
        paths: task.paths.clone(),
        outputs,
        rows,
        file_prefix,
        state: CommitState::default(),
        followed_deletes: 0,
    };
    let outcome = replace(catalog, &inputs, replacement).await?;
    let (table, partition) = (files.table(), task.partition.as_str());
    match &outcome {
        Outcome::Done(done) => info!(
            %table, partition, snapshot_id = done.snapshot_id, files_before = done.files_before,
            files_after = done.files_after, rows = done.rows, bytes_before = done.bytes_before,
            bytes_after = done.bytes_after, followed_deletes = done.followed_deletes, "compacted"
        ),
        Outcome::GaveUp(reason) => info!(%table, partition, %reason, "gave up a compaction"),
    }
    Ok(outcome)
}

/// The files at `paths` in the table's head, or why there is nothing to rewrite.
async fn find(
    catalog: &Catalog,
    files: &TableFiles,
    paths: &[String],
) -> Result<Result<(Listing, Vec<ListedFile>), GaveUp>> {
    let head = catalog.load_table(files.table()).await?;
    if head.metadata().uuid() != files.listing.lake.table().metadata().uuid() {
        return Ok(Err(GaveUp::TableReplaced));
    }
    let base = files.listing.follow(&head).await?;
    Ok(match base.find(paths) {
        Err(path) => Err(GaveUp::FileGone(path)),
        Ok(inputs) => match base.obstacle(&inputs) {
            Some(reason) => Err(GaveUp::Obstacle(reason.to_owned())),
            None => Ok((base, inputs)),
        },
    })
}

/// Commits the finished files in the place of `inputs`.
async fn replace(catalog: &Catalog, inputs: &[ListedFile], mut replacement: Replacement) -> Result<Outcome> {
    // Writing took a while, and the head has moved on.
    let landed = match catalog.load_table(replacement.base.lake.table().identifier()).await {
        Ok(head) => commit(catalog, head, &mut replacement).await,
        Err(error) => Err(error),
    };
    let Replacement { base, outputs, state, followed_deletes, .. } = replacement;
    let snapshot_id = match landed {
        Ok(landed) => Some(landed.snapshot_id),
        Err(_) if state.has_landed => None,
        // Whatever the reason, the new files may be in the table, or may have been.
        Err(error) if state.is_doubtful => return Err(error),
        Err(error) => {
            discard(&base, &outputs).await;
            return state.gave_up.map(Outcome::GaveUp).ok_or(error);
        }
    };
    Ok(Outcome::Done(Done {
        snapshot_id,
        files_before: inputs.len(),
        files_after: outputs.len(),
        bytes_before: inputs.iter().map(|file| file.entry.file_size_in_bytes()).sum(),
        bytes_after: outputs.iter().map(|file| file.data_file.file_size_in_bytes()).sum(),
        rows: outputs.iter().map(|file| file.data_file.record_count()).sum(),
        followed_deletes,
    }))
}

/// Deletes files that are in no snapshot, for certain. What cannot be deleted now is an orphan, and found as one.
async fn discard(base: &Listing, files: &[WrittenFile]) {
    for file in files {
        if let Err(error) = base.lake.table().file_io().delete(&file.path).await {
            debug!(path = file.path, error = %error, "left a file behind");
        }
    }
}
