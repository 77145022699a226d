//! Reads Parquet files that somebody else wrote. Their columns go by name, in any case.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::external::ExternalTable;
use crate::external::files::ExternalFile;
use crate::external::partitions::scalar;

pub(super) fn scan(
    table: &ExternalTable,
    state: &dyn Session,
    files: Vec<ExternalFile>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut by_bucket: BTreeMap<String, Vec<PartitionedFile>> = BTreeMap::new();
    for file in files {
        let mut partitioned = PartitionedFile::new_from_meta(file.meta);
        let values = table.partition_columns.iter().zip(&file.partition_values);
        partitioned.partition_values =
            values.map(|(column, value)| scalar(value.as_deref(), column.data_type())).collect::<Result<_>>()?;
        by_bucket.entry(file.bucket).or_default().push(partitioned);
    }
    let mut scans = Vec::with_capacity(by_bucket.len());
    for (bucket, files) in by_bucket {
        scans.push(scan_bucket(table, state, &bucket, files, projection, limit)?);
    }
    match scans.len() {
        0 => {
            let schema = datafusion::catalog::TableProvider::schema(table);
            let schema = projection.map_or(Ok(schema.clone()), |columns| schema.project(columns).map(Arc::new))?;
            Ok(Arc::new(EmptyExec::new(schema)))
        }
        1 => Ok(scans.remove(0)),
        _ => UnionExec::try_new(scans),
    }
}

fn scan_bucket(
    table: &ExternalTable,
    state: &dyn Session,
    bucket: &str,
    files: Vec<PartitionedFile>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let store = table.access.open(bucket).map_err(|error| DataFusionError::External(error.into()))?;
    let url = ObjectStoreUrl::parse(format!("s3://{bucket}"))?;
    state.runtime_env().register_object_store(url.as_ref(), store.clone());
    let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
    let schema = TableSchema::new(table.file_schema(), table.partition_columns.clone());
    let source = ParquetSource::new(schema)
        .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, footers)));
    let mut groups = vec![Vec::new(); state.config().target_partitions().clamp(1, files.len())];
    let group_count = groups.len();
    for (index, file) in files.into_iter().enumerate() {
        groups[index % group_count].push(file);
    }
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
        .with_projection_indices(projection.cloned())?
        .with_limit(limit)
        .with_expr_adapter(Some(Arc::new(ByName)))
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// Finds a column of the table in a file by its name, whatever the case.
#[derive(Debug)]
struct ByName;

impl PhysicalExprAdapterFactory for ByName {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        Ok(Arc::new(FileColumns { table, file }))
    }
}

#[derive(Debug)]
struct FileColumns {
    table: SchemaRef,
    file: SchemaRef,
}

impl PhysicalExprAdapter for FileColumns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| match expr.as_any().downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.find(column.name())?)),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

impl FileColumns {
    fn find(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = self.table.field_with_name(name)?;
        let found = self.file.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
        let Some(index) = found else {
            return Ok(Arc::new(Literal::new(ScalarValue::try_from(wanted.data_type())?)));
        };
        let found = self.file.field(index);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(found.name(), index));
        match found.data_type() == wanted.data_type() {
            true => Ok(column),
            false => Ok(Arc::new(CastExpr::new(column, wanted.data_type().clone(), None))),
        }
    }
}
