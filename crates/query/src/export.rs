//! Writes what a query gives into files: `UNLOAD (SELECT …) TO 's3://…' WITH (format = 'PARQUET')`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;

use crate::error::{EXECUTION, Error, MEANING, Result};
use crate::rows::Rows;

/// Rows of Parquet are held until so many bytes of them have come together.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

/// Where rows are to go, and how they are to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// As the statement has it: `s3://bucket/prefix/`.
    pub location: String,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Parquet(Compression),
    /// One object a line.
    Json,
}

impl Export {
    /// `properties` are those of WITH.
    pub(crate) fn new(location: String, properties: &[(String, String)]) -> Result<Self> {
        let find =
            |name: &str| properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_uppercase());
        let unserved = |what: &str, value: &str, help: &str| {
            Error::new(MEANING, format!("{what} = '{value}' is not served here")).with_help(help)
        };
        if let Some((name, value)) = properties.iter().find(|(name, _)| !["format", "compression"].contains(&&**name)) {
            return Err(unserved(name, value, "format and compression"));
        }
        let compression = find("compression");
        let format = match (find("format").as_deref(), compression.as_deref()) {
            (Some("PARQUET"), None | Some("ZSTD")) => Format::Parquet(Compression::ZSTD(ZstdLevel::default())),
            (Some("PARQUET"), Some("SNAPPY")) => Format::Parquet(Compression::SNAPPY),
            (Some("PARQUET") | None, Some("NONE")) => Format::Parquet(Compression::UNCOMPRESSED),
            (None, None) => {
                return Err(Error::new(MEANING, "no format is given").with_help("WITH (format = 'PARQUET')"));
            }
            (Some("PARQUET"), Some(other)) => return Err(unserved("compression", other, "ZSTD, SNAPPY or NONE")),
            (Some("JSON"), None | Some("NONE")) => Format::Json,
            (Some("JSON"), Some(other)) => return Err(unserved("compression", other, "NONE")),
            (other, _) => return Err(unserved("format", other.unwrap_or_default(), "PARQUET or JSON")),
        };
        Ok(Self { location, format })
    }

    /// What the name of a file ends in.
    pub fn extension(&self) -> &'static str {
        match self.format {
            Format::Parquet(_) => "parquet",
            Format::Json => "json",
        }
    }

    /// Writes `rows` to one object, and tells how many they are. Where there are none, or it fails, there is no object.
    pub async fn write(&self, rows: &mut Rows, store: Arc<dyn ObjectStore>, to: Path) -> Result<u64> {
        let failed = |error: &dyn std::fmt::Display| Error::new(EXECUTION, format!("write {to}: {error}"));
        let mut file = BufWriter::new(store, to.clone());
        let (mut encoder, mut row_count) = (None, 0);
        let written = async {
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                row_count += batch.num_rows() as u64;
                let open = match encoder.take() {
                    Some(open) => open,
                    None => Encoder::new(self.format, &batch.schema()).map_err(|error| failed(&error))?,
                };
                let (open, bytes) = on_a_thread(move || open.encode(&batch)).await.map_err(|error| failed(&error))?;
                encoder = Some(open);
                file.put(bytes.into()).await.map_err(|error| failed(&error))?;
            }
            let Some(open) = encoder.take().filter(|_| row_count > 0) else { return Ok(()) };
            let bytes = on_a_thread(move || open.finish()).await.map_err(|error| failed(&error))?;
            file.put(bytes.into()).await.map_err(|error| failed(&error))?;
            file.shutdown().await.map_err(|error| failed(&error))
        };
        let written: Result<()> = written.await;
        if written.is_err() || row_count == 0 {
            // Nothing of it is to be seen; where it cannot be taken back, the object was never there whole.
            let _ = file.abort().await;
        }
        written.map(|()| row_count)
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Encoding takes a core, and must not hold up whoever else is on this thread.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, Cause> + Send + 'static) -> Result<T, Cause> {
    tokio::task::spawn_blocking(work).await?
}

/// A file that is being written; its bytes go on as they are ready.
enum Encoder {
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Json,
}

impl Encoder {
    fn new(format: Format, schema: &SchemaRef) -> Result<Self, Cause> {
        let Format::Parquet(compression) = format else { return Ok(Self::Json) };
        let properties = WriterProperties::builder().set_compression(compression).build();
        // Readers are to see Parquet's types, and not how we held the values.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        Ok(Self::Parquet(Box::new(ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)?)))
    }

    fn encode(self, batch: &RecordBatch) -> Result<(Self, Vec<u8>), Cause> {
        match self {
            Self::Parquet(mut writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES_MAX {
                    writer.flush()?;
                }
                let bytes = std::mem::take(writer.inner_mut());
                Ok((Self::Parquet(writer), bytes))
            }
            Self::Json => {
                let mut writer = LineDelimitedWriter::new(Vec::new());
                writer.write(batch)?;
                writer.finish()?;
                Ok((Self::Json, writer.into_inner()))
            }
        }
    }

    fn finish(self) -> Result<Vec<u8>, Cause> {
        match self {
            Self::Parquet(mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.inner_mut()))
            }
            Self::Json => Ok(Vec::new()),
        }
    }
}
