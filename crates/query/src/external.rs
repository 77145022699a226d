//! Tables over files that lie in S3 as somebody put them there: Parquet, delimited text and lines of JSON.
//!
//! `definition` is what a statement says of such a table, `hive_type` reads the types of its columns, `files` finds its
//! files, `partitions` leaves out those that a filter cannot match. `parquet` and `text` read them, the latter through
//! `lines`, `delimited` and `json_lines`.

mod definition;
mod delimited;
mod files;
mod hive_type;
mod json_lines;
mod lines;
mod parquet;
mod partitions;
mod text;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStore;

pub use crate::external::definition::{ColumnDefinition, ExternalDefinition, NewPartition};
pub(crate) use crate::external::files::split_location;
pub use crate::external::hive_type::hive_type;
pub use crate::external::partitions::matching;

/// What reaches the objects of a table, for whoever asks.
#[async_trait]
pub trait ObjectAccess: Send + Sync {
    /// The objects of a bucket; `NotFound` where it is none of ours, or keeps its objects to itself.
    fn open(&self, bucket: &str) -> lake::Result<Arc<dyn ObjectStore>>;
    /// `Refused` where some of the objects are not to be read by whoever asks.
    async fn check(&self, bucket: &str, keys: Vec<String>) -> lake::Result<()>;
    /// Says that an object of the table is about to be written.
    async fn begin(&self, bucket: &str, key: &str) -> lake::Result<()>;
}

/// How the files of a table are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Parquet,
    Delimited(Delimited),
    JsonLines {
        /// A line that is no JSON is all NULL, and no error.
        ignores_malformed: bool,
    },
}

/// How lines of text are cut into values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimited {
    pub separator: char,
    pub quote: Option<char>,
    pub escape: Option<char>,
    /// What stands for NULL.
    pub null: Option<String>,
    /// Lines at the beginning of each file that are no rows.
    pub header_lines: usize,
}

/// A folder of a table, and the values of its partition columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As text, one for each partition column; `None` for NULL.
    pub values: Vec<Option<String>>,
    /// `s3://bucket/prefix/`
    pub location: String,
}

/// A table over files. Cheap to clone.
#[derive(Clone)]
pub struct ExternalTable {
    pub database: String,
    pub name: String,
    /// Without the partition columns; a comment is the metadata `doc`.
    pub columns: Vec<FieldRef>,
    pub partition_columns: Vec<FieldRef>,
    pub format: FileFormat,
    /// `s3://bucket/prefix/`
    pub location: String,
    /// Of a table that has partition columns.
    pub partitions: Vec<Partition>,
    pub properties: BTreeMap<String, String>,
    pub access: Arc<dyn ObjectAccess>,
}

impl ExternalTable {
    /// The columns that files have.
    pub(crate) fn file_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.clone()))
    }

    pub(crate) fn is_partitioned(&self) -> bool {
        !self.partition_columns.is_empty()
    }
}

#[async_trait]
impl TableProvider for ExternalTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new([self.columns.as_slice(), self.partition_columns.as_slice()].concat()))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = partitions::prune(state, self, filters)?;
        let files = files::list(self, partitions).await.map_err(|error| DataFusionError::External(error.into()))?;
        match &self.format {
            FileFormat::Parquet => parquet::scan(self, state, files, projection, limit),
            FileFormat::Delimited(_) | FileFormat::JsonLines { .. } => text::scan(self, state, files, projection),
        }
    }
}

impl std::fmt::Debug for ExternalTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalTable").field("database", &self.database).field("name", &self.name).finish()
    }
}

/// A column of a type as Hive spells it.
pub fn hive_column(name: &str, type_name: &str, comment: Option<&str>) -> Option<FieldRef> {
    let documented = comment.map(|comment| ("doc".to_owned(), comment.to_owned())).into_iter().collect();
    Some(Arc::new(Field::new(name.to_lowercase(), hive_type(type_name)?, true).with_metadata(documented)))
}
