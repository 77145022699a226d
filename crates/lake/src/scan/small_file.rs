//! A data file small enough to be held in memory: opened once, its columns found, its rows decoded.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::apply_file_schema_type_coercions;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetStatisticsPolicy};
use roaring::RoaringBitmap;

use crate::scan::by_id::ByFieldId;

/// The whole of a Parquet file, and what its footer says.
pub(super) struct SmallFile {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl SmallFile {
    /// `table` is the schema that text and bytes take their types from.
    pub fn open(bytes: Bytes, table: &SchemaRef) -> Result<Self> {
        // Nothing is pruned in here, so nothing is read of what that would need.
        let options = ArrowReaderOptions::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = ArrowReaderMetadata::load(&bytes, options)?;
        let Some(schema) = apply_file_schema_type_coercions(table, metadata.schema()) else {
            return Ok(Self { bytes, metadata });
        };
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)?;
        Ok(Self { bytes, metadata })
    }

    /// About how much memory this takes.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.metadata.metadata().memory_size()
    }

    pub fn row_count(&self) -> u64 {
        self.metadata.metadata().file_metadata().num_rows() as u64
    }

    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The rows that are not among `deleted`, in the columns of `columns`.
    pub fn rows(&self, columns: &FoundColumns, deleted: Option<&RoaringBitmap>) -> Result<Vec<RecordBatch>> {
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.roots.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), self.metadata.clone())
            .with_projection(mask)
            .with_batch_size(self.row_count().max(1) as usize)
            .build()?;
        let mut start = 0;
        let mut batches = Vec::with_capacity(1);
        for batch in reader {
            let mut batch = batch?;
            let rows = start..start + batch.num_rows() as u32;
            start = rows.end;
            if let Some(deleted) = deleted {
                let live =
                    BooleanBuffer::collect_bool(batch.num_rows(), |row| !deleted.contains(rows.start + row as u32));
                batch = filter_record_batch(&batch, &BooleanArray::from(live))?;
            }
            if batch.num_rows() > 0 {
                batches.push(columns.align(&batch)?);
            }
        }
        Ok(batches)
    }
}

/// Where a file keeps the columns that are asked for. Files of one schema can share it.
pub(super) struct FoundColumns {
    /// The file's columns that are read.
    roots: Vec<usize>,
    /// One for each column asked for, over the columns that are read.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    wanted: SchemaRef,
}

impl FoundColumns {
    /// Finds the columns of `wanted`, which are some of those of `table`, in a file with the schema `file`.
    pub fn new(by_id: &ByFieldId, table: &SchemaRef, wanted: &SchemaRef, file: &SchemaRef) -> Result<Self> {
        let adapter = by_id.create(table.clone(), file.clone())?;
        let mut exprs = Vec::with_capacity(wanted.fields().len());
        for field in wanted.fields() {
            let index = table.index_of(field.name())?;
            exprs.push(adapter.rewrite(Arc::new(Column::new(field.name(), index)))?);
        }
        let mut roots: Vec<usize> = exprs.iter().flat_map(collect_columns).map(|column| column.index()).collect();
        roots.sort_unstable();
        roots.dedup();
        let read: Arc<Schema> = Arc::new(file.project(&roots)?);
        let exprs = exprs.into_iter().map(|expr| reassign_expr_columns(expr, &read)).collect::<Result<_>>()?;
        Ok(Self { roots, exprs, wanted: wanted.clone() })
    }

    fn align(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let row_count = batch.num_rows();
        let arrays = self.exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(row_count));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        RecordBatch::try_new_with_options(self.wanted.clone(), arrays, &options).map_err(DataFusionError::from)
    }
}
