//! Hands the planned files to DataFusion's own Parquet scan.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetAccessPlan};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use roaring::RoaringBitmap;

use crate::scan::LakeTable;
use crate::scan::by_id::ByFieldId;
use crate::scan::deletes;
use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// Footer and page index of a usual file fit into this much of its end, so that one request fetches them.
const FOOTER_BYTES_HINT: usize = 64 << 10;

/// Files in one store that are scanned in the same way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ScanKey {
    store_url: String,
    has_deletes: bool,
    has_nan: bool,
}

impl LakeTable {
    /// A scan of `files` in parallel, with their deleted rows left out.
    pub(super) async fn execute(
        &self,
        state: &dyn Session,
        files: Vec<PlannedFile>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut groups: BTreeMap<ScanKey, Vec<PlannedFile>> = BTreeMap::new();
        for file in files {
            let key = ScanKey {
                store_url: file.location.store_url.clone(),
                has_deletes: file.deleted.is_some(),
                has_nan: file.entry.data_file().nan_value_counts().values().any(|count| *count > 0),
            };
            groups.entry(key).or_default().push(file);
        }

        let mut scans = Vec::with_capacity(groups.len());
        for (key, files) in groups {
            scans.push(self.scan_files(state, key, files, projection, limit).await?);
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
        files: Vec<PlannedFile>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let first = files[0].entry.file_path();
        let store = (self.open_store)(first).map_err(|error| DataFusionError::External(error.into()))?;
        let store_url = ObjectStoreUrl::parse(&key.store_url)?;
        // DataFusion asks for the store by its URL, although our reader below brings its own.
        state.runtime_env().register_object_store(store_url.as_ref(), store.clone());
        let footers = self.cache.footers(&key.store_url);

        let statistics = self.statistics(&files, projection);
        let partitioned: Vec<PartitionedFile> = stream::iter(files)
            .map(|file| partitioned_file(&store, &footers, file))
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await?;

        let global = state.config_options().execution.parquet.clone();
        let mut options = TableParquetOptions { global, ..TableParquetOptions::default() };
        options.global.pushdown_filters = false;
        // With a limit and a predicate, pruning by statistics replaces our selection of live rows by whole row groups.
        // Pages are pruned all the same.
        options.global.pruning = !key.has_deletes && !key.has_nan;
        // Parquet's statistics leave NaN out, while to DataFusion NaN is the greatest number.
        options.global.enable_page_index &= !key.has_nan;
        let source = ParquetSource::new(self.columns.arrow.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_BYTES_HINT)
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(store, footers)));
        let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_file_groups(pack(partitioned, state.config().target_partitions()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(ByFieldId { table: self.columns.iceberg.clone() })))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

async fn partitioned_file(
    store: &Arc<dyn ObjectStore>,
    footers: &Arc<dyn FileMetadataCache>,
    file: PlannedFile,
) -> Result<PartitionedFile> {
    let meta = ObjectMeta {
        // Not `PartitionedFile::new`, which would percent-encode the path.
        location: file.location.path.clone(),
        last_modified: Default::default(),
        size: file.size(),
        e_tag: None,
        version: None,
    };
    let Some(deleted) = &file.deleted else { return Ok(PartitionedFile::new_from_meta(meta)) };
    let plan = access_plan(store, footers, &meta, deleted).await?;
    Ok(PartitionedFile::new_from_meta(meta).with_extensions(Arc::new(plan)))
}

async fn access_plan(
    store: &Arc<dyn ObjectStore>,
    footers: &Arc<dyn FileMetadataCache>,
    meta: &ObjectMeta,
    deleted: &RoaringBitmap,
) -> Result<ParquetAccessPlan> {
    let footer = DFParquetMetadata::new(store, meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES_HINT))
        .with_file_metadata_cache(Some(footers.clone()))
        .fetch_metadata()
        .await?;
    Ok(deletes::access_plan(deleted, footer.row_groups()))
}

/// Spreads the files over at most `partitions` groups of about the same size.
fn pack(mut files: Vec<PartitionedFile>, partitions: usize) -> Vec<FileGroup> {
    files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    let mut groups: Vec<(u64, FileGroup)> = Vec::new();
    groups.resize_with(partitions.clamp(1, files.len()), || (0, FileGroup::default()));
    for file in files {
        let (bytes, group) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is at least one group");
        *bytes += file.object_meta.size;
        group.push(file);
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_spread_by_size() {
        let files = [5, 1, 1, 1, 2].map(|size| PartitionedFile::new("f", size)).to_vec();
        let sizes: Vec<u64> =
            pack(files, 2).iter().map(|group| group.iter().map(|file| file.object_meta.size).sum()).collect();
        assert_eq!(sizes, [5, 5]);
    }
}
