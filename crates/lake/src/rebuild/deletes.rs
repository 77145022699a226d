//! Which rows of the live data files are gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::metadata_columns::{RESERVED_FIELD_ID_DELETE_FILE_PATH, RESERVED_FIELD_ID_DELETE_FILE_POS};
use iceberg::spec::{DataContentType, SchemaRef};
use iceberg::table::Table;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use roaring::RoaringTreemap;
use tokio::task::spawn_blocking;

use crate::error::{Error, ErrorKind, Result};
use crate::rebuild::key_reader::{column_by_id, columns_by_id, hash_columns, undecodable};
use crate::rebuild::live_files::LiveFile;

/// Delete files read at one time: they are small and many.
const DELETE_READS_MAX: usize = 16;

/// The deletes of a snapshot.
pub(crate) struct Deletes {
    /// Per data file path; each set with the sequence number of the file it came from.
    positions: HashMap<String, Vec<(i64, RoaringTreemap)>>,
    equalities: Vec<Arc<EqualityDelete>>,
    unpartitioned_specs: HashSet<i32>,
}

/// A file of foreign equality deletes: rows that equal one of its rows in these columns are gone.
struct EqualityDelete {
    file: LiveFile,
    ids: Vec<i32>,
    hashes: HashSet<u128>,
}

/// The rows that one delete file names.
enum Loaded {
    Positions(i64, HashMap<String, RoaringTreemap>),
    Equality(Arc<EqualityDelete>),
}

impl Deletes {
    /// Reads the delete files that can apply to one of the `data` files.
    pub(crate) async fn load(table: &Table, data: &[LiveFile], deletes: Vec<LiveFile>) -> Result<Self> {
        let live: Arc<HashSet<String>> = Arc::new(data.iter().map(|file| file.path().to_owned()).collect());
        let schema = table.metadata().current_schema();
        let applicable = deletes
            .into_iter()
            .filter(|file| file.data_file.referenced_data_file().is_none_or(|path| live.contains(&path)));
        let mut loaded = stream::iter(applicable)
            .map(|file| load_delete_file(table, file, Arc::clone(schema), Arc::clone(&live)))
            .buffer_unordered(DELETE_READS_MAX);

        let specs = table.metadata().partition_specs_iter();
        let unpartitioned_specs = specs.filter(|spec| spec.is_unpartitioned()).map(|spec| spec.spec_id()).collect();
        let mut deletes = Self { positions: HashMap::new(), equalities: Vec::new(), unpartitioned_specs };
        while let Some(delete) = loaded.try_next().await? {
            match delete {
                Loaded::Positions(sequence_number, files) => {
                    for (path, positions) in files {
                        deletes.positions.entry(path).or_default().push((sequence_number, positions));
                    }
                }
                Loaded::Equality(delete) => deletes.equalities.push(delete),
            }
        }
        Ok(deletes)
    }

    /// The deletes that apply to `file`.
    pub(crate) fn of(&self, file: &LiveFile) -> RowFilter {
        let mut positions = RoaringTreemap::new();
        for (sequence_number, deleted) in self.positions.get(file.path()).into_iter().flatten() {
            // A position delete also applies to files of its own snapshot.
            if *sequence_number >= file.sequence_number {
                positions |= deleted;
            }
        }
        let equalities = self.equalities.iter().filter(|delete| {
            let is_in_scope = self.unpartitioned_specs.contains(&delete.file.spec_id)
                || (delete.file.spec_id == file.spec_id
                    && delete.file.data_file.partition() == file.data_file.partition());
            is_in_scope && delete.file.sequence_number > file.sequence_number
        });
        let equalities = equalities.map(|delete| (Arc::clone(delete), Vec::new())).collect();
        RowFilter { positions, equalities }
    }
}

/// Tells which rows of one data file are live.
pub(crate) struct RowFilter {
    positions: RoaringTreemap,
    /// With the hash of each row of the batch in the delete's columns.
    equalities: Vec<(Arc<EqualityDelete>, Vec<u128>)>,
}

impl RowFilter {
    /// The columns that must be read to apply equality deletes.
    pub(crate) fn equality_ids(&self) -> impl Iterator<Item = i32> {
        self.equalities.iter().flat_map(|(delete, _)| delete.ids.iter().copied())
    }

    /// Turns to the next batch of rows.
    pub(crate) fn begin(&mut self, batch: &RecordBatch, schema: &SchemaRef) -> Result<()> {
        for (delete, hashes) in &mut self.equalities {
            *hashes = hash_columns(batch, &delete.ids, schema)?;
        }
        Ok(())
    }

    /// Tells whether the row of the batch, which is at `position` in the file, is live.
    pub(crate) fn keeps(&self, row: usize, position: u64) -> bool {
        !self.positions.contains(position)
            && !self.equalities.iter().any(|(delete, hashes)| delete.hashes.contains(&hashes[row]))
    }
}

async fn load_delete_file(
    table: &Table,
    file: LiveFile,
    schema: SchemaRef,
    live: Arc<HashSet<String>>,
) -> Result<Loaded> {
    let failed = |error: iceberg::Error| {
        Error::new(ErrorKind::Transient, format!("read delete file {}", file.path())).with_source(error)
    };
    let bytes = table.file_io().new_input(file.path()).map_err(failed)?.read().await.map_err(failed)?;
    let decoded = spawn_blocking(move || match file.data_file.content_type() {
        DataContentType::PositionDeletes => {
            read_positions(bytes, &live).map(|f| Loaded::Positions(file.sequence_number, f))
        }
        DataContentType::EqualityDeletes => {
            read_equality_delete(file, bytes, &schema).map(|delete| Loaded::Equality(Arc::new(delete)))
        }
        DataContentType::Data => {
            Err(Error::new(ErrorKind::Unexpected, format!("read deletes of data file {}", file.path())))
        }
    });
    decoded.await.expect("decoding neither panics nor is aborted")
}

fn read_positions(bytes: Bytes, live: &HashSet<String>) -> Result<HashMap<String, RoaringTreemap>> {
    const IDS: [i32; 2] = [RESERVED_FIELD_ID_DELETE_FILE_PATH, RESERVED_FIELD_ID_DELETE_FILE_POS];
    let mut positions: HashMap<String, RoaringTreemap> = HashMap::new();
    for batch in read_columns(bytes, &IDS)? {
        let batch = batch?;
        let [paths, rows] = IDS.map(|id| column_by_id(&batch, id));
        let paths = paths.and_then(|paths| paths.as_string_opt::<i32>());
        let rows = rows.and_then(|rows| rows.as_primitive_opt::<Int64Type>());
        let (Some(paths), Some(rows)) = (paths, rows) else {
            return Err(Error::new(ErrorKind::Unexpected, "read position deletes: the file has no path and position"));
        };
        // A run of one path fills one bitmap.
        let mut row = 0;
        while row < paths.len() {
            let path = paths.value(row);
            let end = (row..paths.len()).find(|&other| paths.value(other) != path).unwrap_or(paths.len());
            if live.contains(path) {
                let deleted = positions.entry(path.to_owned()).or_default();
                deleted.extend(rows.values()[row..end].iter().map(|&position| position as u64));
            }
            row = end;
        }
    }
    Ok(positions)
}

fn read_equality_delete(file: LiveFile, bytes: Bytes, schema: &SchemaRef) -> Result<EqualityDelete> {
    let ids = file.data_file.equality_ids().unwrap_or_default();
    let mut hashes = HashSet::new();
    for batch in read_columns(bytes, &ids)? {
        hashes.extend(hash_columns(&batch?, &ids, schema)?);
    }
    Ok(EqualityDelete { file, ids, hashes })
}

fn read_columns(bytes: Bytes, ids: &[i32]) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    // What Arrow types the writer had in mind does not matter: a string is a string.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).map_err(undecodable)?;
    let mask = columns_by_id(builder.parquet_schema(), ids);
    let reader = builder.with_projection(mask).build().map_err(undecodable)?;
    Ok(reader.map(|batch| batch.map_err(|error| undecodable(error.into()))))
}
