//! Rows as bytes of a file.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::json::LineDelimitedWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::error::Result;
use crate::export::{Cause, parquet_compression, unserved};

/// Rows of Parquet are held until so many bytes of them have come together.
const ROW_GROUP_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Parquet(Compression),
    /// One object a line.
    Json {
        is_gzip: bool,
    },
    /// NULL is `\N`.
    Delimited {
        separator: char,
        is_gzip: bool,
    },
}

impl Encoding {
    /// By Athena's names.
    pub fn new(format: &str, compression: Option<&str>, separator: Option<&str>) -> Result<Self> {
        let is_gzip = || match compression.map(str::to_uppercase).as_deref() {
            None | Some("NONE") => Ok(false),
            Some("GZIP") => Ok(true),
            Some(other) => Err(unserved("compression", other, "GZIP or NONE")),
        };
        match format.to_uppercase().as_str() {
            "PARQUET" => parquet_compression(compression).map(Self::Parquet),
            "JSON" => Ok(Self::Json { is_gzip: is_gzip()? }),
            "TEXTFILE" | "CSV" => {
                let mut characters =
                    separator.unwrap_or(if format.eq_ignore_ascii_case("CSV") { "," } else { "\u{1}" }).chars();
                match (characters.next(), characters.next()) {
                    (Some(separator), None) => Ok(Self::Delimited { separator, is_gzip: is_gzip()? }),
                    _ => Err(unserved("field_delimiter", separator.unwrap_or_default(), "one character")),
                }
            }
            _ => Err(unserved("format", format, "PARQUET, JSON or TEXTFILE")),
        }
    }

    /// What the name of a file ends in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet(_) => "parquet",
            Self::Json { is_gzip: false } => "json",
            Self::Json { is_gzip: true } => "json.gz",
            Self::Delimited { is_gzip: false, .. } => "txt",
            Self::Delimited { is_gzip: true, .. } => "txt.gz",
        }
    }
}

/// A file that is being written; its bytes go on as they are ready.
pub(super) enum Encoder {
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    /// `None` where it is not compressed.
    Text(Encoding, Option<Box<GzEncoder<Vec<u8>>>>),
}

impl Encoder {
    pub fn new(encoding: &Encoding, schema: &SchemaRef) -> Result<Self, Cause> {
        let is_gzip = match encoding {
            Encoding::Parquet(compression) => {
                let properties = WriterProperties::builder().set_compression(*compression).build();
                // Readers are to see Parquet's types, and not how we held the values.
                let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)?;
                return Ok(Self::Parquet(Box::new(writer)));
            }
            Encoding::Json { is_gzip } | Encoding::Delimited { is_gzip, .. } => *is_gzip,
        };
        Ok(Self::Text(*encoding, is_gzip.then(|| Box::new(GzEncoder::new(Vec::new(), flate2::Compression::default())))))
    }

    pub fn encode(self, batch: &RecordBatch) -> Result<(Self, Vec<u8>), Cause> {
        match self {
            Self::Parquet(mut writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES_MAX {
                    writer.flush()?;
                }
                let bytes = std::mem::take(writer.inner_mut());
                Ok((Self::Parquet(writer), bytes))
            }
            Self::Text(encoding, gzip) => {
                let text = match encoding {
                    Encoding::Delimited { separator, .. } => delimited(batch, separator)?,
                    _ => {
                        let mut writer = LineDelimitedWriter::new(Vec::new());
                        writer.write(batch)?;
                        writer.finish()?;
                        writer.into_inner()
                    }
                };
                let Some(mut gzip) = gzip else { return Ok((Self::Text(encoding, None), text)) };
                gzip.write_all(&text)?;
                let bytes = std::mem::take(gzip.get_mut());
                Ok((Self::Text(encoding, Some(gzip)), bytes))
            }
        }
    }

    pub fn finish(self) -> Result<Vec<u8>, Cause> {
        match self {
            Self::Parquet(mut writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.inner_mut()))
            }
            Self::Text(_, Some(gzip)) => Ok(gzip.finish()?),
            Self::Text(_, None) => Ok(Vec::new()),
        }
    }
}

fn delimited(batch: &RecordBatch, separator: char) -> Result<Vec<u8>, Cause> {
    let options = FormatOptions::new().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.3f"));
    let columns = batch.columns();
    let formatters = columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    let mut text = Vec::new();
    for row in 0..batch.num_rows() {
        for (index, (column, formatter)) in columns.iter().zip(&formatters).enumerate() {
            if index > 0 {
                write!(text, "{separator}")?;
            }
            match column.is_null(row) {
                true => text.extend(b"\\N"),
                false => write!(text, "{}", formatter.value(row))?,
            }
        }
        text.push(b'\n');
    }
    Ok(text)
}
