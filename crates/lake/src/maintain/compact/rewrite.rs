//! Data files written anew: fuller, without their deleted rows, sorted where that is asked for.

use datafusion::catalog::TableProvider;
use futures::StreamExt;
use iceberg::spec::ManifestEntryRef;
use tracing::{debug, info};

use crate::catalog::Catalog;
use crate::commit::commit;
use crate::data_file::WrittenFile;
use crate::data_file::streamed::{Destination, write_streamed};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::plan::file_count;
use crate::maintain::compact::read;
use crate::maintain::compact::replacement::{CommitState, Replacement};
use crate::maintain::compact::row_map::RowMap;
use crate::maintain::compact::sort::{ranks, sorted};
use crate::maintain::compact::sort_keys::SortKeys;
use crate::maintain::compact::{Done, GaveUp, Outcome, Progress, RowOrder, TableFiles, Task};
use crate::scan::{PlannedFile, deleted_rows};

/// How far a file may be from its even share where rows differ in size.
const FILE_SHARE_MIN: f64 = 0.75;
const FILE_SHARE_MAX: f64 = 1.5;

/// Runs a task of [`Work::Rewrite`](crate::maintain::compact::Work).
pub(crate) async fn rewrite(
    catalog: &Catalog,
    files: &TableFiles,
    task: &Task,
    order: RowOrder,
    target_file_bytes: u64,
    progress: &Progress,
) -> Result<Outcome> {
    let head = catalog.load_table(files.table()).await?;
    if head.metadata().uuid() != files.listing.lake.table().metadata().uuid() {
        return Ok(Outcome::GaveUp(GaveUp::TableReplaced));
    }
    let base = files.listing.follow(&head).await?;
    let inputs = match base.find(&task.paths) {
        Ok(inputs) => inputs,
        Err(path) => return Ok(Outcome::GaveUp(GaveUp::FileGone(path))),
    };
    let Some(first) = inputs.first() else { return Ok(Outcome::Done(Done::default())) };
    if let Some(obstacle) = base.obstacles().iter().find(|obstacle| obstacle.is_in(first.partition())) {
        return Ok(Outcome::GaveUp(GaveUp::Obstacle(obstacle.reason.to_owned())));
    }

    let commit_id = catalog.ambient().uuid();
    let file_prefix = format!("compact-{commit_id}");
    let mut outputs = Vec::new();
    let job = Job { base: &base, inputs: &inputs, order, target_file_bytes, file_prefix: &file_prefix };
    let rows = match job.write(progress, &mut outputs).await {
        Ok(rows) => rows,
        Err(error) => {
            discard(&base, &outputs).await;
            return gone_meanwhile(catalog, &base, &task.paths)
                .await
                .map_or(Err(error), |gone| Ok(Outcome::GaveUp(gone)));
        }
    };

    let mut replacement = Replacement {
        commit_id,
        base,
        paths: task.paths.clone(),
        outputs,
        rows,
        file_prefix,
        state: CommitState::default(),
        followed_deletes: 0,
    };
    // Writing took a while, and the head has moved on.
    let landed = match catalog.load_table(files.table()).await {
        Ok(head) => commit(catalog, head, &mut replacement).await,
        Err(error) => Err(error),
    };
    let Replacement { base, outputs, state, followed_deletes, .. } = replacement;
    let snapshot_id = match landed {
        Ok(landed) => Some(landed.snapshot_id),
        Err(_) if state.has_landed => None,
        Err(error) => {
            if state.is_doubtful {
                // Whatever the reason, the new files may be in the table, or may have been.
                return Err(error);
            }
            discard(&base, &outputs).await;
            return state.gave_up.map_or(Err(error), |reason| {
                info!(table = %files.table(), partition = task.partition, %reason, "gave up a compaction");
                Ok(Outcome::GaveUp(reason))
            });
        }
    };
    let done = Done {
        snapshot_id,
        files_before: inputs.len(),
        files_after: outputs.len(),
        bytes_before: inputs.iter().map(|file| file.entry.file_size_in_bytes()).sum(),
        bytes_after: outputs.iter().map(|file| file.data_file.file_size_in_bytes()).sum(),
        rows: outputs.iter().map(|file| file.data_file.record_count()).sum(),
        followed_deletes,
    };
    info!(
        table = %files.table(), partition = task.partition, snapshot_id,
        files_before = done.files_before, files_after = done.files_after, rows = done.rows,
        bytes_before = done.bytes_before, bytes_after = done.bytes_after, followed_deletes, "compacted"
    );
    Ok(Outcome::Done(done))
}

/// What there is to read and how to write it.
struct Job<'a> {
    base: &'a Listing,
    inputs: &'a [ListedFile],
    order: RowOrder,
    target_file_bytes: u64,
    file_prefix: &'a str,
}

impl Job<'_> {
    /// Writes the live rows of the input and tells where each went.
    async fn write(&self, progress: &Progress, outputs: &mut Vec<WrittenFile>) -> Result<RowMap> {
        let lake = &self.base.lake;
        let data: Vec<ManifestEntryRef> = self.inputs.iter().map(|file| file.entry.clone()).collect();
        let deletes = self.base.deletes().filter(ListedFile::is_position_deletes).map(|file| file.entry);
        let deleted = deleted_rows(lake, &data, &deletes.collect::<Vec<_>>()).await?;
        let mut files = Vec::with_capacity(data.len());
        for (entry, deleted) in data.into_iter().zip(&deleted) {
            files.push(PlannedFile::new(entry, deleted.clone())?);
        }
        let row_count: u64 = files.iter().map(PlannedFile::live_rows).sum();
        let byte_count = self.inputs.iter().zip(&files).map(|(input, file)| {
            let rows = input.entry.record_count().max(1) as f64;
            input.entry.file_size_in_bytes() as f64 * file.live_rows() as f64 / rows
        });
        let byte_count = byte_count.sum::<f64>() as u64;
        files.retain(|file| file.live_rows() > 0);

        let keys = match self.order {
            RowOrder::AsWritten => None,
            RowOrder::Sorted => Some(SortKeys::of_table(lake)?),
            RowOrder::ZOrdered => Some(SortKeys::on_curve(lake, &files)?),
        };
        let session = read::session()?;
        let rows = read::rows(lake, &session, files);
        let progress = progress.clone();
        let rows = rows.inspect(move |batch| {
            if let Ok(batch) = batch {
                progress.add(batch.num_rows(), batch.get_array_memory_size());
            }
        });
        let mut order = None;
        let destination = self.destination(row_count, byte_count);
        let schema = TableProvider::schema(lake);
        match self.order {
            RowOrder::AsWritten => {
                write_streamed(lake, destination, schema, rows.map(|batch| batch.map_err(unreadable)), outputs).await?;
            }
            RowOrder::Sorted | RowOrder::ZOrdered => {
                let mut places = vec![0; row_count as usize];
                let mut next = 0;
                let column_count = schema.fields().len();
                let rows = sorted(lake, &session, keys.expect("an order has keys"), rows.boxed())?;
                let rows = rows.map(|batch| {
                    let batch = batch.map_err(unreadable)?;
                    for rank in ranks(&batch).values() {
                        places[*rank as usize] = next;
                        next += 1;
                    }
                    let columns: Vec<usize> = (0..column_count).collect();
                    batch.project(&columns).map_err(|error| unreadable(error.into()))
                });
                write_streamed(lake, destination, schema, rows, outputs).await?;
                order = Some(places);
            }
        }

        let written: u64 = outputs.iter().map(|file| file.data_file.record_count()).sum();
        if written != row_count {
            let message = format!("compact {row_count} rows, of which {written} were written");
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        let inputs = self
            .inputs
            .iter()
            .zip(deleted)
            .map(|(file, deleted)| (file.path().to_owned(), file.entry.record_count(), deleted));
        Ok(RowMap::new(inputs, order, outputs.iter().map(|file| file.data_file.record_count())))
    }

    fn destination(&self, row_count: u64, byte_count: u64) -> Destination {
        let (spec_id, partition) = self.inputs[0].partition();
        let table = self.base.lake.table().metadata();
        let is_sorted = self.order == RowOrder::Sorted;
        let share = |share: f64| (self.target_file_bytes as f64 * share) as u64;
        Destination {
            file_prefix: self.file_prefix.to_owned(),
            spec_id,
            partition: partition.clone(),
            sort_order_id: is_sorted.then_some(table.default_sort_order().order_id as i32),
            rows_per_file: row_count.div_ceil(file_count(byte_count, self.target_file_bytes)),
            file_bytes_min: share(FILE_SHARE_MIN),
            file_bytes_max: share(FILE_SHARE_MAX),
        }
    }
}

pub(crate) fn unreadable(error: datafusion::error::DataFusionError) -> Error {
    Error::new(ErrorKind::Transient, "read the rows to compact").with_source(error)
}

/// Whether reading failed because the files are not in the table any more.
async fn gone_meanwhile(catalog: &Catalog, base: &Listing, paths: &[String]) -> Option<GaveUp> {
    let head = catalog.load_table(base.lake.table().identifier()).await.ok()?;
    if head.metadata().uuid() != base.lake.table().metadata().uuid() {
        return Some(GaveUp::TableReplaced);
    }
    base.follow(&head).await.ok()?.find(paths).err().map(GaveUp::FileGone)
}

/// Deletes files that are in no snapshot, for certain. What cannot be deleted now is an orphan, and found as one.
async fn discard(base: &Listing, files: &[WrittenFile]) {
    for file in files {
        if let Err(error) = base.lake.table().file_io().delete(&file.path).await {
            debug!(path = file.path, error = %error, "left a file behind");
        }
    }
}
