//! An Iceberg table as a sink.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ambient::Ambient;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::arrow::schema_to_arrow_schema;
use lake::{Catalog, ColumnAddition, Progress, RowChanges, TableWriter, WriterOptions};
use tracing::info;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::CommitTimer;
use crate::shape::{Mode, NewColumn, TableShape, attribute_doc};
use crate::sink::{Commit, Sink};
use crate::sql::SqlTransform;

/// What a pipeline says about its target.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The pipeline's name, from its file.
    pub pipeline: String,
    /// The key attributes of the DynamoDB table, partition key first.
    pub key_attributes: Vec<String>,
    pub mode: Mode,
    /// Whether an attribute, or a column of the transform, without a column gets one.
    pub evolve: bool,
    /// Makes the rows; without one every attribute goes to its own column.
    pub sql: Option<Arc<SqlTransform>>,
    /// The folder of the key index.
    pub index_dir: PathBuf,
}

/// Rows and checkpoint in one Iceberg snapshot.
pub struct TableSink {
    writer: TableWriter,
    shape: TableShape,
    table: String,
    options: TableOptions,
    ambient: Ambient,
}

impl TableSink {
    /// Loads the table. Nothing is written to it before it is taken over. `Misconfigured` where it does not exist, or
    /// lacks a column for a key attribute.
    pub async fn open(catalog: Catalog, table: TableIdent, options: TableOptions) -> Result<Self> {
        let name = table.to_string();
        let loaded = catalog.load_table(&table).await.map_err(|error| lake_error(error, &name))?;
        let key_columns = match options.mode {
            Mode::Mirror | Mode::Operations => {
                let schema = schema_to_arrow_schema(loaded.metadata().current_schema()).map_err(|error| {
                    Error::new(ErrorKind::Unexpected, format!("read the schema of table {name}")).with_source(error)
                })?;
                key_columns(Arc::new(schema), &options, &name)?
            }
            Mode::Changelog => Vec::new(),
        };
        let ambient = catalog.ambient().clone();
        let pipeline = options.pipeline.clone();
        let writer = match options.mode {
            Mode::Operations => TableWriter::open_repeating(catalog, table, pipeline, key_columns).await,
            Mode::Mirror | Mode::Changelog => {
                let writer_options = WriterOptions { pipeline, key_columns, index_dir: options.index_dir.clone() };
                TableWriter::open(catalog, table, writer_options).await
            }
        };
        let writer = writer.map_err(|error| lake_error(error, &name))?;
        let shape = shape(writer.schema(), &options);
        let mut sink = Self { writer, shape, table: name, options, ambient };
        sink.prepare_for_transform().await?;
        Ok(sink)
    }

    /// Checks that the table holds what the transform makes, and adds the columns that it lacks.
    async fn prepare_for_transform(&mut self) -> Result<()> {
        let Some(sql) = &self.options.sql else { return Ok(()) };
        sql.check_target(&self.shape.schema)?;
        let missing = sql.missing_columns(&self.shape.schema);
        let Some(first) = missing.first() else { return Ok(()) };
        if !self.options.evolve {
            let message = format!(
                "table {} has no column `{}`. Try: `[target] evolve = true`, or add the column",
                self.table, first.name
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        self.writer.add_columns(&missing).await.map_err(|error| lake_error(error, &self.table))?;
        self.shape = shape(self.writer.schema(), &self.options);
        Ok(())
    }
}

#[async_trait]
impl Sink for TableSink {
    async fn take_over(&mut self) -> Result<Checkpoint> {
        let text = self.writer.take_over().await.map_err(|error| lake_error(error, &self.table))?;
        self.shape = shape(self.writer.schema(), &self.options);
        text.map_or_else(|| Ok(Checkpoint::default()), |text| Checkpoint::from_text(&text))
    }

    fn complete_up_to_ms(&self) -> Option<i64> {
        self.writer.complete_up_to_ms()
    }

    fn shape(&self) -> &TableShape {
        &self.shape
    }

    async fn add_columns(&mut self, columns: &[NewColumn]) -> Result<()> {
        let additions: Vec<_> = columns
            .iter()
            .map(|column| ColumnAddition {
                name: column.column.clone(),
                data_type: column.data_type.clone(),
                doc: Some(attribute_doc(&column.attribute)),
            })
            .collect();
        self.writer.add_columns(&additions).await.map_err(|error| lake_error(error, &self.table))?;
        let grown = shape(self.writer.schema(), &self.options);
        if !is_grown_from(&grown.schema, &self.shape.schema) {
            // What is decoded already is of the old columns: it is read again.
            let message = format!("add columns to table {}, whose columns somebody changed", self.table);
            return Err(Error::new(ErrorKind::Transient, message));
        }
        self.shape = grown;
        Ok(())
    }

    async fn commit(&mut self, changes: RowChanges, commit: Commit<'_>) -> Result<()> {
        let timer = CommitTimer::start(&self.options.pipeline, &self.table);
        // Before the first commit the table has no checkpoint at all.
        let from = (*commit.from != Checkpoint::default()).then(|| commit.from.to_text());
        let since_epoch = commit.complete_up_to.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
        let complete_up_to_ms = since_epoch.map(|since| since.as_millis() as i64);
        let to = Progress { checkpoint: &commit.to.to_text(), complete_up_to_ms, commit_id: Some(commit.id) };
        let outcome = self.writer.commit(changes, from.as_deref(), to).await;
        outcome.map_err(|error| lake_error(error, &self.table))?;
        timer.stop();
        if self.writer.schema() != self.shape.schema {
            self.shape = shape(self.writer.schema(), &self.options);
        }
        Ok(())
    }

    async fn heartbeat(&mut self, at: &Checkpoint) -> Result<()> {
        let is_overtaken = self.writer.is_overtaken().await.map_err(|error| lake_error(error, &self.table))?;
        if is_overtaken && *at != Checkpoint::default() {
            info!(table = self.table, "others changed the table: tying the checkpoint to it again");
            let commit = Commit { id: self.ambient.uuid(), from: at, to: at, complete_up_to: None };
            self.commit(RowChanges::default(), commit).await?;
        }
        Ok(())
    }
}

fn shape(schema: SchemaRef, options: &TableOptions) -> TableShape {
    match &options.sql {
        None => TableShape::from_table(schema, options.key_attributes.clone(), options.mode, options.evolve),
        Some(sql) => TableShape::of_transformed(schema, sql.key_columns().to_vec(), options.mode),
    }
}

/// Whether `after` is `before` with columns added at the end.
fn is_grown_from(after: &SchemaRef, before: &SchemaRef) -> bool {
    after.fields().len() >= before.fields().len() && before.fields().iter().zip(after.fields()).all(|(a, b)| a == b)
}

/// The columns of the key attributes.
fn key_columns(schema: SchemaRef, options: &TableOptions, table: &str) -> Result<Vec<String>> {
    let shape = shape(schema.clone(), options);
    let columns = shape.key_columns().ok_or_else(|| {
        let key = shape.key_attributes.join("`, `");
        let message = format!(
            "table {table} lacks a column for a key attribute of the source: `{key}`. \
             Try: add the column, or let the pipeline make the table"
        );
        Error::new(ErrorKind::Misconfigured, message)
    })?;
    Ok(columns.into_iter().map(|column| schema.field(column).name().clone()).collect())
}

/// What the supervisor does about an error of the lake.
pub(crate) fn lake_error(error: lake::Error, table: &str) -> Error {
    let kind = match error.kind() {
        lake::ErrorKind::Transient => ErrorKind::Transient,
        lake::ErrorKind::Fenced => ErrorKind::Fenced,
        lake::ErrorKind::NotFound | lake::ErrorKind::Refused => ErrorKind::Misconfigured,
        lake::ErrorKind::Unexpected => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("write table {table}")).with_source(error)
}
