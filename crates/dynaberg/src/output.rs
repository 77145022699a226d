//! Results on standard output: a table for people, JSON or CSV for programs.

use std::io::{IsTerminal, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches_with_schema;

use crate::cli::{Format, TableFormat};
use crate::failure::{Exit, Failure, Outcome};

/// A table on a terminal, JSON in a pipe, unless the user chose.
pub fn format_or_default(chosen: Option<Format>) -> Format {
    chosen.unwrap_or(if std::io::stdout().is_terminal() { Format::Table } else { Format::Json })
}

/// The same for query results.
pub fn table_format_or_default(chosen: Option<TableFormat>) -> TableFormat {
    chosen.unwrap_or(if std::io::stdout().is_terminal() { TableFormat::Table } else { TableFormat::Json })
}

/// Writes query results. JSON is one array of objects; a null is `null`.
pub fn write_batches(format: TableFormat, schema: SchemaRef, batches: &[RecordBatch]) -> Outcome {
    let mut out = std::io::stdout().lock();
    let written = match format {
        TableFormat::Table => pretty_format_batches_with_schema(schema, batches)
            .map_err(arrow_failure)
            .map(|table| writeln!(out, "{table}")),
        TableFormat::Json => write_json(&mut out, batches).map(|()| Ok(())),
        TableFormat::Ndjson => write_ndjson(&mut out, batches).map(Ok),
        TableFormat::Csv => write_csv(&mut out, &schema, batches).map(|()| Ok(())),
    };
    written?.or_else(ignore_closed_pipe)
}

/// Writes a line, and takes no offence where the reader has gone (`| head`).
pub fn line(text: impl std::fmt::Display) -> Outcome {
    writeln!(std::io::stdout().lock(), "{text}").or_else(ignore_closed_pipe)
}

/// Writes one JSON document.
pub fn json(document: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::caused_by(Exit::Other, &error))?;
    line(text)
}

/// `2026-11-22T12:04:31.22Z`.
pub fn timestamp(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

/// Writes rows beneath their header, each column as wide as its widest value. A short row may be as long as it likes.
pub fn columns(header: &[&str], rows: &[Vec<String>]) -> Outcome {
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let whole = || std::iter::once(&header).chain(rows.iter().filter(|row| row.len() == header.len()));
    let widths: Vec<usize> = (0..header.len())
        .map(|column| whole().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate();
        // Names to the left, numbers to the right.
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// `512 B`, `14.2 KB`, `3.0 GB`, in powers of 1,024.
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if size < 1024.0 {
            return if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TB")
}

/// `12.5 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn write_json(out: &mut impl Write, batches: &[RecordBatch]) -> Outcome {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(&mut *out);
    for batch in batches {
        writer.write(batch).map_err(arrow_failure)?;
    }
    writer.finish().map_err(arrow_failure)?;
    drop(writer);
    writeln!(out).or_else(ignore_closed_pipe)
}

fn write_ndjson(out: &mut impl Write, batches: &[RecordBatch]) -> Outcome {
    let writer = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = writer.build::<_, arrow::json::writer::LineDelimited>(out);
    batches.iter().try_for_each(|batch| writer.write(batch)).map_err(arrow_failure)?;
    writer.finish().map_err(arrow_failure)
}

/// An empty result has its header too.
fn write_csv(out: &mut impl Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Outcome {
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
    let empty = RecordBatch::new_empty(schema.clone());
    let batches = if batches.is_empty() { std::slice::from_ref(&empty) } else { batches };
    batches.iter().try_for_each(|batch| writer.write(batch)).map_err(arrow_failure)
}

fn arrow_failure(error: arrow::error::ArrowError) -> Failure {
    Failure::caused_by(Exit::Other, &error)
}

fn ignore_closed_pipe(error: std::io::Error) -> Outcome {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::new(Exit::Other, format!("write the result: {error}"))),
    }
}
