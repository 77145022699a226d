//! Makes the plan that reads the planned files: DataFusion's own Parquet scan for large ones, ours for small ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;

use crate::scan::LakeTable;
use crate::scan::by_id::ByFieldId;
use crate::scan::footer::FOOTER_BYTES_HINT;
use crate::scan::large_file::{CutFile, PinnedReaders, Source};
use crate::scan::pieces::{self, Piece};
use crate::scan::prune::Predicate;
use crate::scan::small_files::{self, SmallFilesExec};
use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// Files in one store that are scanned in the same way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ScanKey {
    store_url: String,
    is_small: bool,
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
            let is_small = file.size() <= self.cache.small_file_bytes_max;
            let has_nan = || file.entry.data_file().nan_value_counts().values().any(|count| *count > 0);
            let key = ScanKey {
                store_url: file.location.store_url.clone(),
                is_small,
                has_selection: !is_small && (file.deleted.is_some() || pieces > 1),
                has_nan: !is_small && has_nan(),
            };
            groups.entry(key).or_default().push(CutFile { file, pieces });
        }

        let mut scans = Vec::with_capacity(groups.len());
        for (key, files) in groups {
            scans.push(match key.is_small {
                true => self.scan_small_files(state, files, predicate, projection)?,
                false => self.scan_files(state, key, files, predicate, projection, limit).await?,
            });
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

    fn scan_small_files(
        &self,
        state: &dyn Session,
        files: Vec<CutFile>,
        predicate: &Predicate,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files: Vec<PlannedFile> = files.into_iter().map(|cut| cut.file).collect();
        let statistics = self.known(files.iter(), predicate, projection).project(projection);
        let table = &self.columns.arrow;
        let source = small_files::Source {
            store: self.store_of(&files[0])?,
            cache: self.cache.clone(),
            by_id: ByFieldId { table: self.columns.iceberg.clone() },
            table: table.clone(),
            wanted: projection.map_or(Ok(table.clone()), |columns| table.project(columns).map(Arc::new))?,
            _pin: self.pin.clone(),
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SmallFilesExec::new(source, files, partitions, statistics)))
    }

    /// What the planner may know of the rows in `files` that are read.
    fn known<'a>(
        &self,
        files: impl Iterator<Item = &'a PlannedFile> + Clone,
        predicate: &Predicate,
        projection: Option<&Vec<usize>>,
    ) -> Statistics {
        let statistics = self.statistics(files, projection);
        // Row groups that cannot match are left out, so there may be fewer rows.
        if predicate.filters.is_empty() { statistics } else { statistics.to_inexact() }
    }

    fn store_of(&self, file: &PlannedFile) -> Result<Arc<dyn ObjectStore>> {
        (self.open_store)(file.entry.file_path()).map_err(|error| DataFusionError::External(error.into()))
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
        let statistics = self.known(files.iter().map(|cut| &cut.file), predicate, projection);
        let store = self.store_of(&files[0].file)?;
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
