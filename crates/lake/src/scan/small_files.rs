//! Reads many small files, each with one request.
//!
//! A stream that commits every second leaves thousands of them. DataFusion's Parquet scan makes a plan for every file it
//! opens, which is worth it for a large one only.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{Statistics, exec_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::scan::by_id::ByFieldId;
use crate::scan::cache::ScanCache;
use crate::scan::pins::Pin;
use crate::scan::small_file::{FoundColumns, SmallFile};
use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// As much as DataFusion's scan would fetch for the footer, and again for the columns.
pub(super) const SMALL_FILE_BYTES_MAX: u64 = 128 << 10;

/// What all files of a scan are read by.
pub(super) struct Source {
    pub store: Arc<dyn ObjectStore>,
    pub cache: Arc<ScanCache>,
    pub by_id: ByFieldId,
    pub table: SchemaRef,
    /// The columns that are asked for.
    pub wanted: SchemaRef,
    /// Keeps the files from being deleted meanwhile.
    pub _pin: Option<Arc<Pin>>,
}

/// A scan of small files, in as many partitions as they are given.
pub(super) struct SmallFilesExec {
    source: Arc<Source>,
    partitions: Vec<Vec<Arc<PlannedFile>>>,
    statistics: Statistics,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SmallFilesExec {
    /// `statistics` are those of the columns that are asked for.
    pub fn new(source: Source, files: Vec<PlannedFile>, partitions: usize, statistics: Statistics) -> Self {
        let partitions = partitions.clamp(1, files.len().max(1));
        let mut dealt: Vec<Vec<Arc<PlannedFile>>> = vec![Vec::new(); partitions];
        for (number, file) in files.into_iter().enumerate() {
            dealt[number % partitions].push(Arc::new(file));
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(source.wanted.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            source: Arc::new(source),
            partitions: dealt,
            statistics,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl ExecutionPlan for SmallFilesExec {
    fn name(&self) -> &'static str {
        "SmallFilesExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let bytes_scanned = MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut opened = Vec::with_capacity(self.partitions[partition].len());
        for file in &self.partitions[partition] {
            let (source, file, bytes_scanned) = (self.source.clone(), file.clone(), bytes_scanned.clone());
            opened.push(async move { Ok::<_, DataFusionError>((source.open(&file, &bytes_scanned).await?, file)) });
        }
        let mut decoder = Decoder { source: self.source.clone(), last: None };
        let batches = stream::iter(opened).buffered(CONCURRENT_READS).map(move |opened| {
            let _busy = metrics.elapsed_compute().timer();
            let (opened, file) = opened?;
            let batches = decoder.decode(&opened, &file)?;
            metrics.record_output(batches.iter().map(RecordBatch::num_rows).sum());
            Ok::<_, DataFusionError>(stream::iter(batches.into_iter().map(Ok)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches.try_flatten())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        Ok(match partition {
            None => self.statistics.clone(),
            Some(_) => Statistics::new_unknown(&self.schema()),
        })
    }
}

impl Source {
    async fn open(&self, file: &PlannedFile, bytes_scanned: &Count) -> Result<Arc<SmallFile>> {
        let path = file.entry.file_path();
        // What a query costs does not depend on who asked before.
        bytes_scanned.add(file.size() as usize);
        if let Some(opened) = self.cache.small_files.get(path) {
            return Ok(opened);
        }
        let bytes = self.store.get(&file.location.path).await?.bytes().await?;
        let opened = SmallFile::open(bytes, &self.table).map_err(|error| error.context(format!("read {path}")))?;
        if opened.row_count() != file.entry.record_count() {
            return exec_err!("{path} has {} rows, not those of its manifest", opened.row_count());
        }
        let opened = Arc::new(opened);
        self.cache.small_files.put(path, opened.clone(), opened.weight());
        Ok(opened)
    }
}

/// Takes the rows out of one file after the other.
struct Decoder {
    source: Arc<Source>,
    /// The schema of the last file, and where the columns are in it: files of one writer have it in common.
    last: Option<(SchemaRef, FoundColumns)>,
}

impl Decoder {
    fn decode(&mut self, opened: &SmallFile, file: &PlannedFile) -> Result<Vec<RecordBatch>> {
        if self.last.as_ref().is_none_or(|(schema, _)| schema != opened.schema()) {
            let Source { by_id, table, wanted, .. } = self.source.as_ref();
            let found = FoundColumns::new(by_id, table, wanted, opened.schema())?;
            self.last = Some((opened.schema().clone(), found));
        }
        let (_, columns) = self.last.as_ref().expect("it was set just now");
        let rows = opened.rows(columns, file.deleted.as_deref());
        rows.map_err(|error| error.context(format!("read {}", file.entry.file_path())))
    }
}

impl fmt::Debug for SmallFilesExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallFilesExec").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for SmallFilesExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.partitions.iter().map(|files| files.len()).sum();
        let columns: Vec<&str> = self.source.wanted.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "SmallFilesExec: files={files}, projection=[{}]", columns.join(", "))
    }
}
