//! Writes what a query gives into files: `UNLOAD (SELECT …) TO 's3://…' WITH (format = 'PARQUET')`, and the rows of external
//! tables.
//!
//! `encoder` turns rows into bytes, `partitioned` parts them by the columns that folders are named after.

mod encoder;
mod partitioned;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use tokio::io::AsyncWriteExt;

use crate::error::{EXECUTION, Error, MEANING, Result};
use crate::export::encoder::{Encoder, Encoding};
use crate::external::{ExternalTable, FileFormat, ObjectAccess, split_location};
use crate::rows::Rows;

pub(crate) use crate::export::partitioned::NULL_PARTITION;
pub use crate::export::partitioned::folder_value;

/// As Athena has it: every partition is a file that is open until the last row.
const PARTITIONS_MAX: usize = 100;

/// Where rows are to go, and how they are to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// As the statement has it: `s3://bucket/prefix/`.
    pub location: String,
    encoding: Encoding,
    /// The last columns, after which folders are named.
    partitioned_by: Vec<String>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// `s3://bucket/prefix/name_0.parquet`
    pub files: Vec<String>,
    pub row_count: u64,
    /// The values that folders are named after; one without values where there are no such columns.
    pub partitions: Vec<Vec<Option<String>>>,
}

const PROPERTIES: [&str; 3] = ["format", "compression", "field_delimiter"];

impl Export {
    /// `properties` are those of WITH.
    pub(crate) fn new(location: String, properties: &[(String, String)], partitioned_by: Vec<String>) -> Result<Self> {
        let find = |name: &str| properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        if let Some((name, value)) = properties.iter().find(|(name, _)| !PROPERTIES.contains(&&**name)) {
            return Err(unserved(name, value, "format, compression, field_delimiter and partitioned_by"));
        }
        let Some(format) = find("format") else {
            return Err(Error::new(MEANING, "no format is given").with_help("WITH (format = 'PARQUET')"));
        };
        let encoding = Encoding::new(&format, find("compression").as_deref(), find("field_delimiter").as_deref())?;
        Ok(Self { location, encoding, partitioned_by })
    }

    /// How rows are added to a table.
    pub(crate) fn of_table(table: &ExternalTable) -> Result<Self> {
        let encoding = match &table.format {
            FileFormat::Parquet => Encoding::Parquet(Compression::ZSTD(ZstdLevel::default())),
            FileFormat::JsonLines { .. } => Encoding::Json { is_gzip: false },
            FileFormat::Delimited(format) if format.quote.is_none() && format.escape.is_none() => {
                Encoding::Delimited { separator: format.separator, is_gzip: false }
            }
            FileFormat::Delimited(_) => {
                let error = Error::new(MEANING, format!("rows of {} are read, and not written", table.name));
                return Err(error.with_help("a table that is STORED AS PARQUET"));
            }
        };
        let partitioned_by = table.partition_columns.iter().map(|field| field.name().clone()).collect();
        Ok(Self { location: table.location.clone(), encoding, partitioned_by })
    }

    /// Writes `rows` to objects whose names begin with `name`. Where it fails none of them is left.
    pub async fn write(&self, rows: &mut Rows, access: &dyn ObjectAccess, name: &str) -> Result<Exported> {
        partitioned::check(rows.schema(), &self.partitioned_by)?;
        self.write_as(rows, access, name, |batch| Ok(batch.clone())).await
    }

    /// The same for rows as `fit` makes them, with the columns to partition by at their end.
    pub(crate) async fn write_as(
        &self,
        rows: &mut Rows,
        access: &dyn ObjectAccess,
        name: &str,
        fit: impl Fn(&RecordBatch) -> Result<RecordBatch>,
    ) -> Result<Exported> {
        let mut open = OpenFiles { export: self, access, name, files: BTreeMap::new(), row_count: 0 };
        let written = async {
            while let Some(batch) = rows.next().await {
                open.write(&fit(&batch?)?).await?;
            }
            Ok(())
        };
        match written.await {
            Ok(()) => open.finish().await,
            Err(error) => {
                open.abort().await;
                Err(error)
            }
        }
    }
}

fn unserved(what: &str, value: &str, help: &str) -> Error {
    Error::new(MEANING, format!("{what} = '{value}' is not served here")).with_help(help)
}

/// The files that are being written, by the values of their partition.
struct OpenFiles<'a> {
    export: &'a Export,
    access: &'a dyn ObjectAccess,
    name: &'a str,
    files: BTreeMap<Vec<Option<String>>, OpenFile>,
    row_count: u64,
}

struct OpenFile {
    key: Path,
    writer: BufWriter,
    /// `None` while a thread has it.
    encoder: Option<Encoder>,
}

impl OpenFiles<'_> {
    async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.row_count += rows.num_rows() as u64;
        for (values, rows) in partitioned::part(rows, &self.export.partitioned_by)? {
            if !self.files.contains_key(&values) {
                let file = self.open(&values, &rows).await?;
                self.files.insert(values.clone(), file);
            }
            let file = self.files.get_mut(&values).expect("it was opened just now");
            let encoder = file.encoder.take().expect("no thread has it");
            let key = file.key.clone();
            let (encoder, bytes) =
                on_a_thread(move || encoder.encode(&rows)).await.map_err(|error| failed(&key, &error))?;
            file.encoder = Some(encoder);
            file.writer.put(bytes.into()).await.map_err(|error| failed(&key, &error))?;
        }
        Ok(())
    }

    async fn open(&mut self, values: &[Option<String>], rows: &RecordBatch) -> Result<OpenFile> {
        if self.files.len() >= PARTITIONS_MAX {
            let message = format!("HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {PARTITIONS_MAX} open writers");
            return Err(Error::new(EXECUTION, message).with_help("fewer partitions in one statement"));
        }
        let (bucket, prefix) = split_location(&self.export.location).map_err(|error| failed(&self.name, &error))?;
        let folders = partitioned::folders(&self.export.partitioned_by, values);
        let file = format!("{}_{}.{}", self.name, self.files.len(), self.export.encoding.extension());
        let key = [prefix.as_ref(), folders.as_str(), file.as_str()].into_iter().filter(|part| !part.is_empty());
        let key = key.collect::<Vec<_>>().join("/");
        self.access.begin(bucket, &key).await.map_err(|error| failed(&key, &error))?;
        let store = self.access.open(bucket).map_err(|error| failed(&key, &error))?;
        let key = Path::parse(&key).map_err(|error| failed(&key, &error))?;
        let encoder = Encoder::new(&self.export.encoding, &rows.schema()).map_err(|error| failed(&key, &error))?;
        Ok(OpenFile { writer: BufWriter::new(store, key.clone()), key, encoder: Some(encoder) })
    }

    async fn finish(mut self) -> Result<Exported> {
        let (bucket, _) = split_location(&self.export.location).map_err(|error| failed(&self.name, &error))?;
        let mut exported = Exported { row_count: self.row_count, ..Exported::default() };
        let mut unfinished = None;
        for (values, file) in &mut self.files {
            let key = file.key.clone();
            let encoder = file.encoder.take().expect("no thread has it");
            let finished = async {
                let bytes = on_a_thread(move || encoder.finish()).await.map_err(|error| failed(&key, &error))?;
                file.writer.put(bytes.into()).await.map_err(|error| failed(&key, &error))?;
                file.writer.shutdown().await.map_err(|error| failed(&key, &error))
            };
            if let Err(error) = finished.await {
                unfinished = Some(error);
                break;
            }
            exported.files.push(format!("s3://{bucket}/{}", file.key));
            exported.partitions.push(values.clone());
        }
        match unfinished {
            None => Ok(exported),
            Some(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Nothing of it is to be seen; where something cannot be taken back, the object was never there whole.
    async fn abort(&mut self) {
        let Ok((bucket, _)) = split_location(&self.export.location) else { return };
        for file in self.files.values_mut() {
            let is_there = file.encoder.is_none() && file.writer.abort().await.is_err();
            if !is_there {
                continue;
            }
            if let Ok(store) = self.access.open(bucket) {
                let _ = object_store::ObjectStoreExt::delete(&store, &file.key).await;
            }
        }
    }
}

fn failed(what: &dyn std::fmt::Display, error: &dyn std::fmt::Display) -> Error {
    Error::new(EXECUTION, format!("write {what}: {error}"))
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Encoding takes a core, and must not hold up whoever else is on this thread.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, Cause> + Send + 'static) -> Result<T, Cause> {
    tokio::task::spawn_blocking(work).await?
}

/// The compression of Parquet files by Athena's name for it.
fn parquet_compression(name: Option<&str>) -> Result<Compression> {
    Ok(match name.map(str::to_uppercase).as_deref() {
        None | Some("ZSTD") => Compression::ZSTD(ZstdLevel::default()),
        Some("SNAPPY") => Compression::SNAPPY,
        Some("GZIP") => Compression::GZIP(GzipLevel::default()),
        Some("NONE") => Compression::UNCOMPRESSED,
        Some(other) => return Err(unserved("compression", other, "ZSTD, SNAPPY, GZIP or NONE")),
    })
}
