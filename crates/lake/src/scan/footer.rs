//! What the end of a Parquet file says of it, page index included.

use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::ParquetMetaData;

use crate::scan::LakeTable;
use crate::scan::snapshot_files::PlannedFile;

/// Footer and page index of a usual file fit into this much of its end, so that one request fetches them.
pub(super) const FOOTER_BYTES_HINT: usize = 64 << 10;

/// What DataFusion wants to know of an object that never changes.
pub(super) fn object_meta(file: &PlannedFile) -> ObjectMeta {
    ObjectMeta {
        location: file.location.path.clone(),
        last_modified: Default::default(),
        size: file.size(),
        e_tag: None,
        version: None,
    }
}

pub(super) async fn footer(
    store: &Arc<dyn ObjectStore>,
    footers: &Arc<dyn FileMetadataCache>,
    meta: &ObjectMeta,
) -> Result<Arc<ParquetMetaData>> {
    DFParquetMetadata::new(store, meta)
        .with_metadata_size_hint(Some(FOOTER_BYTES_HINT))
        .with_file_metadata_cache(Some(footers.clone()))
        .fetch_metadata()
        .await
}

impl LakeTable {
    pub(crate) async fn footer(&self, file: &PlannedFile) -> Result<Arc<ParquetMetaData>> {
        let (store, _) =
            self.locate(file.entry.file_path()).map_err(|error| DataFusionError::External(error.into()))?;
        footer(&store, &self.cache.footers(&file.location.store_url), &object_meta(file)).await
    }
}
