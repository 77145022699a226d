//! The work of a rewrite: rows read, put in order and written, and where each of them went.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionState;
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::ManifestEntryRef;

use crate::data_file::WrittenFile;
use crate::data_file::streamed::{Destination, Part, write_streamed};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::copy::Copying;
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::plan::file_count;
use crate::maintain::compact::read::unreadable;
use crate::maintain::compact::row_map::RowMap;
use crate::maintain::compact::sort::{ranks, sorted};
use crate::maintain::compact::sort_keys::SortKeys;
use crate::maintain::compact::{Progress, RowOrder, read};
use crate::scan::{PlannedFile, deleted_rows};

/// What sorting holds in memory.
const SORT_BYTES_MAX: usize = 256 << 20;
/// Sorted runs are merged with two batches of each in memory, so that a batch must be small before that.
const BATCH_BYTES: u64 = 4 << 20;
const BATCH_ROWS: std::ops::RangeInclusive<u64> = 64..=8_192;
/// How much larger rows are in memory than in a file: a guess, on the safe side for text.
const EXPANSION: u64 = 8;
/// How far a file may be from its even share where rows differ in size.
const FILE_SHARE_MIN: f64 = 0.75;
const FILE_SHARE_MAX: f64 = 1.5;

/// What there is to read and how to write it.
pub(crate) struct Job<'a> {
    pub base: &'a Listing,
    pub inputs: &'a [ListedFile],
    pub order: RowOrder,
    pub target_file_bytes: u64,
    pub file_prefix: &'a str,
}

impl Job<'_> {
    /// Writes the live rows of the input and tells where each went.
    pub async fn write(&self, progress: &Progress, outputs: &mut Vec<WrittenFile>) -> Result<RowMap> {
        let lake = &self.base.lake;
        let data: Vec<ManifestEntryRef> = self.inputs.iter().map(|file| file.entry.clone()).collect();
        let deletes = self.base.deletes().filter(ListedFile::is_position_deletes).map(|file| file.entry);
        let deleted = deleted_rows(lake, &data, &deletes.collect::<Vec<_>>()).await?;
        let mut files = Vec::with_capacity(data.len());
        for (input, deleted) in self.inputs.iter().zip(&deleted) {
            files.push(PlannedFile::new(input.spec_id, input.entry.clone(), deleted.clone())?);
        }
        let row_count: u64 = files.iter().map(PlannedFile::live_rows).sum();
        let byte_count = self.inputs.iter().zip(&files).map(|(input, file)| {
            let rows = input.entry.record_count().max(1) as f64;
            input.entry.file_size_in_bytes() as f64 * file.live_rows() as f64 / rows
        });
        let byte_count = byte_count.sum::<f64>() as u64;
        files.retain(|file| file.live_rows() > 0);

        let session = read::session(SORT_BYTES_MAX, batch_rows(row_count, byte_count))?;
        let destination = self.destination(row_count, byte_count);
        let order = match self.order {
            RowOrder::AsWritten => {
                self.write_as_they_are(&session, files, destination, progress, outputs).await?;
                None
            }
            RowOrder::Sorted => {
                let keys = SortKeys::of_table(lake)?;
                Some(self.write_sorted(&session, keys, files, destination, progress, outputs).await?)
            }
            RowOrder::ZOrdered => {
                let keys = SortKeys::on_curve(lake, &files)?;
                Some(self.write_sorted(&session, keys, files, destination, progress, outputs).await?)
            }
        };

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

    async fn write_as_they_are(
        &self,
        session: &Arc<SessionState>,
        files: Vec<PlannedFile>,
        destination: Destination,
        progress: &Progress,
        outputs: &mut Vec<WrittenFile>,
    ) -> Result<()> {
        let lake = &self.base.lake;
        let schema = TableProvider::schema(lake);
        let copying = Copying::new(lake, &schema, self.target_file_bytes)?;
        let parts = read::parts(lake, session, copying, files, progress);
        write_streamed(lake, destination, schema, parts, outputs).await
    }

    /// Gives the rank in the output of each rank of the input.
    async fn write_sorted(
        &self,
        session: &Arc<SessionState>,
        keys: SortKeys,
        files: Vec<PlannedFile>,
        destination: Destination,
        progress: &Progress,
        outputs: &mut Vec<WrittenFile>,
    ) -> Result<Vec<u32>> {
        let lake = &self.base.lake;
        let schema = TableProvider::schema(lake);
        let mut places = vec![0; files.iter().map(PlannedFile::live_rows).sum::<u64>() as usize];
        let mut next = 0;
        let progress = progress.clone();
        let rows = read::rows(lake, session, files);
        let rows = rows.inspect_ok(move |batch| progress.add(batch.num_rows(), batch.get_array_memory_size()));
        let columns: Vec<usize> = (0..schema.fields().len()).collect();
        let parts = sorted(&schema, session, keys, rows.boxed())?.map(|batch| {
            let batch = batch.map_err(unreadable)?;
            for rank in ranks(&batch).values() {
                places[*rank as usize] = next;
                next += 1;
            }
            batch.project(&columns).map(Part::Rows).map_err(|error| unreadable(error.into()))
        });
        write_streamed(lake, destination, schema.clone(), parts, outputs).await?;
        Ok(places)
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

/// How many rows of this kind a batch holds.
fn batch_rows(row_count: u64, byte_count: u64) -> usize {
    let row_bytes = (byte_count * EXPANSION / row_count.max(1)).max(1);
    (BATCH_BYTES / row_bytes).clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end()) as usize
}
