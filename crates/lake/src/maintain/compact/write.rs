//! The work of a rewrite: rows read, put in order and written, and where each of them went.

use datafusion::catalog::TableProvider;
use futures::StreamExt;
use iceberg::spec::ManifestEntryRef;

use crate::data_file::WrittenFile;
use crate::data_file::streamed::{Destination, write_streamed};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::listing::{ListedFile, Listing};
use crate::maintain::compact::plan::file_count;
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

        let keys = match self.order {
            RowOrder::AsWritten => None,
            RowOrder::Sorted => Some(SortKeys::of_table(lake)?),
            RowOrder::ZOrdered => Some(SortKeys::on_curve(lake, &files)?),
        };
        let session = read::session(SORT_BYTES_MAX, batch_rows(row_count, byte_count))?;
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
                let rows = sorted(&schema, &session, keys.expect("an order has keys"), rows.boxed())?;
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

/// How many rows of this kind a batch holds.
fn batch_rows(row_count: u64, byte_count: u64) -> usize {
    let row_bytes = (byte_count * EXPANSION / row_count.max(1)).max(1);
    (BATCH_BYTES / row_bytes).clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end()) as usize
}

fn unreadable(error: datafusion::error::DataFusionError) -> Error {
    Error::new(ErrorKind::Transient, "read the rows to compact").with_source(error)
}
