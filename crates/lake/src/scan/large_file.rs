//! What DataFusion's Parquet scan needs of a large file: its pieces, without the rows that are deleted.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::ObjectStore;
use parquet::arrow::async_reader::AsyncFileReader;

use crate::scan::by_id::ByFieldId;
use crate::scan::deletes;
use crate::scan::footer::{footer, object_meta};
use crate::scan::pieces::{self, Piece};
use crate::scan::pins::Pin;
use crate::scan::row_groups;
use crate::scan::snapshot_files::PlannedFile;

/// A file and the number of pieces to read it in.
pub(super) struct CutFile {
    pub file: PlannedFile,
    pub pieces: usize,
}

/// Holds on to the snapshot as long as the plan or a stream of its rows is there, also when the table is not any more.
#[derive(Debug)]
pub(super) struct PinnedReaders {
    pub readers: CachedParquetFileReaderFactory,
    pub _pin: Option<Arc<Pin>>,
}

impl ParquetFileReaderFactory for PinnedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        self.readers.create_reader(partition_index, file, metadata_size_hint, metrics)
    }
}

/// What it takes to read the footers of files and plan by them.
pub(super) struct Source {
    pub schema: SchemaRef,
    pub by_id: Arc<ByFieldId>,
    pub store: Arc<dyn ObjectStore>,
    pub footers: Arc<dyn FileMetadataCache>,
    /// Those that Parquet's statistics can be held against.
    pub filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl Source {
    pub async fn pieces(&self, cut: CutFile) -> Result<Vec<Piece>> {
        let meta = object_meta(&cut.file);
        // Not `PartitionedFile::new`, which would percent-encode the path.
        let whole = PartitionedFile::new_from_meta(meta.clone());
        if cut.file.deleted.is_none() && cut.pieces == 1 {
            return Ok(vec![Piece { bytes: meta.size, file: whole }]);
        }

        let footer = footer(&self.store, &self.footers, &meta).await?;
        let mut pieces = Vec::with_capacity(cut.pieces);
        for rows in pieces::row_ranges(footer.row_groups(), cut.pieces) {
            let plan = deletes::access_plan(cut.file.deleted.as_deref(), footer.row_groups(), rows);
            let plan = row_groups::prune(plan, &self.filters, &self.schema, &self.by_id, &footer)?;
            if plan.row_group_index_iter().next().is_some() {
                let file = whole.clone().with_extensions(Arc::new(plan));
                pieces.push(Piece { bytes: meta.size / cut.pieces as u64, file });
            }
        }
        Ok(pieces)
    }
}
