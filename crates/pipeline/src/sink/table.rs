//! An Iceberg table as a sink.

use std::path::PathBuf;

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::Schema;
use lake::{Catalog, ColumnAddition, RowChanges, TableWriter, WriterOptions};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::CommitTimer;
use crate::shape::{Mode, NewColumn, TableShape};
use crate::sink::Sink;

/// What a pipeline says about its target.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The pipeline's name, from its file.
    pub pipeline: String,
    /// The key attributes of the DynamoDB table, partition key first.
    pub key_attributes: Vec<String>,
    pub mode: Mode,
    /// Whether an attribute without a column gets one.
    pub evolve: bool,
    /// The folder of the key index.
    pub index_dir: PathBuf,
}

/// Rows and checkpoint in one Iceberg snapshot.
pub struct TableSink {
    writer: TableWriter,
    shape: TableShape,
    table: String,
    options: TableOptions,
}

impl TableSink {
    /// Loads the table. Nothing is written to it before it is taken over. `Misconfigured` where it does not exist, or
    /// lacks a column for a key attribute.
    pub async fn open(catalog: Catalog, table: TableIdent, options: TableOptions) -> Result<Self> {
        let name = table.to_string();
        let loaded = catalog.load_table(&table).await.map_err(|error| lake_error(error, &name))?;
        let key_columns = match options.mode {
            Mode::Mirror => key_columns(loaded.metadata().current_schema(), &options.key_attributes, &name)?,
            Mode::Changelog => Vec::new(),
        };
        let writer_options =
            WriterOptions { pipeline: options.pipeline.clone(), key_columns, index_dir: options.index_dir.clone() };
        let writer =
            TableWriter::open(catalog, table, writer_options).await.map_err(|error| lake_error(error, &name))?;
        let shape = shape(&writer, &options);
        Ok(Self { writer, shape, table: name, options })
    }
}

#[async_trait]
impl Sink for TableSink {
    async fn take_over(&mut self) -> Result<Checkpoint> {
        let text = self.writer.take_over().await.map_err(|error| lake_error(error, &self.table))?;
        self.shape = shape(&self.writer, &self.options);
        text.map_or_else(|| Ok(Checkpoint::default()), |text| Checkpoint::from_text(&text))
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
        self.shape = shape(&self.writer, &self.options);
        Ok(())
    }

    async fn commit(&mut self, changes: RowChanges, from: &Checkpoint, to: &Checkpoint) -> Result<()> {
        let timer = CommitTimer::start(&self.table);
        // Before the first commit the table has no checkpoint at all.
        let from = (*from != Checkpoint::default()).then(|| from.to_text());
        let outcome = self.writer.commit(changes, from.as_deref(), &to.to_text()).await;
        outcome.map_err(|error| lake_error(error, &self.table))?;
        timer.stop();
        Ok(())
    }
}

fn shape(writer: &TableWriter, options: &TableOptions) -> TableShape {
    let schema = writer.schema();
    let attributes = schema.fields().iter().map(|field| {
        let documented = field.metadata().get("doc").and_then(|doc| doc.strip_prefix(ATTRIBUTE_DOC));
        documented
            .or(Some(field.name()).filter(|name| !name.starts_with('_')).map(|name| name.as_str()))
            .map(str::to_owned)
    });
    TableShape {
        mode: options.mode,
        attributes: attributes.collect(),
        key_attributes: options.key_attributes.clone(),
        evolve: options.evolve,
        schema,
    }
}

const ATTRIBUTE_DOC: &str = "dynamodb attribute: ";

fn attribute_doc(attribute: &str) -> String {
    format!("{ATTRIBUTE_DOC}{attribute}")
}

/// The columns of the key attributes: the one whose doc names the attribute, else the one of its name in any case.
fn key_columns(schema: &Schema, key_attributes: &[String], table: &str) -> Result<Vec<String>> {
    let fields = schema.as_struct().fields();
    let column_of = |attribute: &String| {
        let doc = attribute_doc(attribute);
        let documented = fields.iter().find(|field| field.doc.as_deref() == Some(&doc));
        let exact = || fields.iter().find(|field| field.name == *attribute);
        let any_case = || fields.iter().find(|field| field.name.to_lowercase() == attribute.to_lowercase());
        let field = documented.or_else(exact).or_else(any_case).ok_or_else(|| {
            Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "table {table} has no column for the key attribute `{attribute}`. Try: a table with a column \
                     `{}`, or let the pipeline make the table",
                    attribute.to_lowercase()
                ),
            )
        })?;
        Ok(field.name.clone())
    };
    key_attributes.iter().map(column_of).collect()
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
