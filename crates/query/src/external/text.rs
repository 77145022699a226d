//! Reads files of lines: delimited text, and JSON.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::exec_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use crate::external::files::ExternalFile;
use crate::external::lines::Lines;
use crate::external::partitions::scalar;
use crate::external::{ExternalTable, FileFormat, delimited, json_lines};

pub(super) fn scan(
    table: &ExternalTable,
    state: &dyn Session,
    files: Vec<ExternalFile>,
    projection: Option<&Vec<usize>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = table.schema();
    let projection = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
    let wanted = Arc::new(schema.project(&projection)?);
    let partitions = state.config().target_partitions().clamp(1, files.len().max(1));
    let mut dealt: Vec<Vec<Arc<ExternalFile>>> = vec![Vec::new(); partitions];
    for (index, file) in files.into_iter().enumerate() {
        dealt[index % partitions].push(Arc::new(file));
    }
    let properties = PlanProperties::new(
        EquivalenceProperties::new(wanted.clone()),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    let source = Arc::new(Source { table: table.clone(), projection, wanted });
    let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
    Ok(Arc::new(TextFilesExec { source, partitions: dealt, properties, metrics }))
}

/// What all files of a scan are read by.
struct Source {
    table: ExternalTable,
    projection: Vec<usize>,
    /// The columns that are asked for.
    wanted: SchemaRef,
}

struct TextFilesExec {
    source: Arc<Source>,
    partitions: Vec<Vec<Arc<ExternalFile>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl ExecutionPlan for TextFilesExec {
    fn name(&self) -> &'static str {
        "TextFilesExec"
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
        let mut opened = Vec::with_capacity(self.partitions[partition].len());
        for file in &self.partitions[partition] {
            let (source, file, bytes_scanned) = (self.source.clone(), file.clone(), bytes_scanned.clone());
            opened.push(async move { source.open(file, &bytes_scanned).await });
        }
        // One file at a time is open.
        let batches = stream::iter(opened).buffered(1).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.source.wanted.clone(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl Source {
    /// The rows of a file. What goes wrong names it.
    async fn open(
        self: Arc<Self>,
        file: Arc<ExternalFile>,
        bytes_scanned: &Count,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + use<>> {
        let named = {
            let location = format!("s3://{}/{}", file.bucket, file.meta.location);
            move |error: DataFusionError| exec_datafusion_err!("read {location}: {}", error.strip_backtrace())
        };
        let store = self.table.access.open(&file.bucket);
        let store = store.map_err(|error| named(DataFusionError::External(error.into())))?;
        let object = store.get(&file.meta.location).await;
        let object = object.map_err(|error| named(DataFusionError::ObjectStore(Box::new(error))))?;
        bytes_scanned.add(file.meta.size as usize);
        let is_gzip = file.meta.location.as_ref().ends_with(".gz");
        let lines = Lines::new(object.into_stream().boxed(), is_gzip);
        let headers = match &self.table.format {
            FileFormat::Delimited(format) => format.header_lines,
            _ => 0,
        };
        let rows = stream::try_unfold((lines, headers), move |(mut lines, mut headers)| {
            let (source, file) = (self.clone(), file.clone());
            async move {
                let Some(mut next) = lines.next().await? else { return Ok(None) };
                let skipped = headers.min(next.len());
                next.drain(..skipped);
                headers -= skipped;
                // Decoding takes a thread of its own.
                let batch = tokio::task::spawn_blocking(move || source.rows(&next, &file)).await;
                let batch = batch.map_err(|error| DataFusionError::External(error.into()))??;
                Ok(Some((batch, (lines, headers))))
            }
        });
        Ok(rows.map_err(named))
    }

    fn rows(&self, lines: &[String], file: &ExternalFile) -> Result<RecordBatch> {
        let schema = self.table.file_schema();
        let own = match &self.table.format {
            FileFormat::JsonLines { ignores_malformed } => json_lines::rows(lines, *ignores_malformed, &schema)?,
            FileFormat::Delimited(format) => delimited::rows(lines, format, &schema)?,
            FileFormat::Parquet => unreachable!("Parquet is no text"),
        };
        let row_count = own.first().map_or(lines.len(), |column| column.len());
        let column = |index: &usize| -> Result<ArrayRef> {
            if let Some(column) = own.get(*index) {
                return Ok(column.clone());
            }
            let key = index - own.len();
            let value = file.partition_values.get(key).and_then(Option::as_deref);
            scalar(value, self.table.partition_columns[key].data_type())?.to_array_of_size(row_count)
        };
        let columns = self.projection.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        Ok(RecordBatch::try_new_with_options(self.wanted.clone(), columns, &options)?)
    }
}

impl fmt::Debug for TextFilesExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextFilesExec").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for TextFilesExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.partitions.iter().map(Vec::len).sum();
        write!(f, "TextFilesExec: files={files}")
    }
}
