//! Hands the planned files to DataFusion's own Parquet scan.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::union::UnionExec;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::async_reader::AsyncFileReader;

use crate::scan::LakeTable;
use crate::scan::by_id::ByFieldId;
use crate::scan::deletes;
use crate::scan::pieces::{self, Piece};
use crate::scan::pins::Pin;
use crate::scan::prune::Predicate;
use crate::scan::row_groups;
use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// Footer and page index of a usual file fit into this much of its end, so that one request fetches them.
const FOOTER_BYTES_HINT: usize = 64 << 10;

/// A file and the number of pieces to read it in.
struct CutFile {
    file: PlannedFile,
    pieces: usize,
}

/// Files in one store that are scanned in the same way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ScanKey {
    store_url: String,
    /// Some rows are not to be read: they are deleted, or another piece of the file has them.
    has_selection: bool,
    has_nan: bool,
}

impl LakeTable {
    /// A scan of `files` in parallel, with their deleted rows left out.
    pub(super) async fn execute(
        &self,
        state: &dyn Session,
        files: Vec<PlannedFile>,
        predicate: &Predicate,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sizes: Vec<u64> = files.iter().map(PlannedFile::size).collect();
        let pieces = pieces::counts(&sizes, state.config().target_partitions());
        let mut groups: BTreeMap<ScanKey, Vec<CutFile>> = BTreeMap::new();
        for (file, pieces) in files.into_iter().zip(pieces) {
            let key = ScanKey {
                store_url: file.location.store_url.clone(),
                has_selection: file.deleted.is_some() || pieces > 1,
                has_nan: file.entry.data_file().nan_value_counts().values().any(|count| *count > 0),
            };
            groups.entry(key).or_default().push(CutFile { file, pieces });
        }

        let mut scans = Vec::with_capacity(groups.len());
        for (key, files) in groups {
            scans.push(self.scan_files(state, key, files, predicate, projection, limit).await?);
        }
        match scans.len() {
            0 => {
                let schema = match projection {
                    Some(projection) => Arc::new(self.columns.arrow.project(projection)?),
                    None => self.columns.arrow.clone(),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(scans.remove(0)),
            _ => UnionExec::try_new(scans),
        }
    }

    async fn scan_files(
        &self,
        state: &dyn Session,
        key: ScanKey,
        files: Vec<CutFile>,
        predicate: &Predicate,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut statistics = self.statistics(files.iter().map(|cut| &cut.file), projection);
        if !predicate.filters.is_empty() {
            // Row groups that cannot match are left out, so there may be fewer rows.
            statistics = statistics.to_inexact();
        }
        let first = files[0].file.entry.file_path();
        let store = (self.open_store)(first).map_err(|error| DataFusionError::External(error.into()))?;
        let store_url = ObjectStoreUrl::parse(&key.store_url)?;
        // DataFusion asks for the store by its URL, although our reader below brings its own.
        state.runtime_env().register_object_store(store_url.as_ref(), store.clone());
        let by_id = Arc::new(ByFieldId { table: self.columns.iceberg.clone() });
        let source = Source {
            schema: self.columns.arrow.clone(),
            by_id: by_id.clone(),
            footers: self.cache.footers(&key.store_url),
            store,
            filters: if key.has_nan { Vec::new() } else { predicate.filters.clone() },
        };
        let pieces: Vec<Vec<Piece>> =
            stream::iter(files).map(|file| source.pieces(file)).buffered(CONCURRENT_READS).try_collect().await?;
        let groups = pieces::pack(pieces.into_iter().flatten().collect(), state.config().target_partitions());

        let global = state.config_options().execution.parquet.clone();
        let mut options = TableParquetOptions { global, ..TableParquetOptions::default() };
        options.global.pushdown_filters = false;
        // With a limit and a predicate, pruning by statistics replaces our selection of live rows by whole row groups.
        // Pages are pruned all the same.
        options.global.pruning = !key.has_selection && !key.has_nan;
        // Parquet's statistics leave NaN out, while to DataFusion NaN is the greatest number.
        options.global.enable_page_index &= !key.has_nan;
        let reader = CachedParquetFileReaderFactory::new(source.store, source.footers);
        let reader = PinnedReaders { readers: reader, _pin: self.pin.clone() };
        let source = ParquetSource::new(source.schema)
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_BYTES_HINT)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(by_id))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Holds on to the snapshot as long as the plan or a stream of its rows is there, also when the table is not any more.
#[derive(Debug)]
struct PinnedReaders {
    readers: CachedParquetFileReaderFactory,
    _pin: Option<Arc<Pin>>,
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
struct Source {
    schema: SchemaRef,
    by_id: Arc<ByFieldId>,
    store: Arc<dyn ObjectStore>,
    footers: Arc<dyn FileMetadataCache>,
    /// Those that Parquet's statistics can be held against.
    filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl Source {
    async fn pieces(&self, cut: CutFile) -> Result<Vec<Piece>> {
        let meta = ObjectMeta {
            // Not `PartitionedFile::new`, which would percent-encode the path.
            location: cut.file.location.path.clone(),
            last_modified: Default::default(),
            size: cut.file.size(),
            e_tag: None,
            version: None,
        };
        let whole = PartitionedFile::new_from_meta(meta.clone());
        if cut.file.deleted.is_none() && cut.pieces == 1 {
            return Ok(vec![Piece { bytes: meta.size, file: whole }]);
        }

        let footer = DFParquetMetadata::new(&self.store, &meta)
            .with_metadata_size_hint(Some(FOOTER_BYTES_HINT))
            .with_file_metadata_cache(Some(self.footers.clone()))
            .fetch_metadata()
            .await?;
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
