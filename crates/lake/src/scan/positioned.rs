//! A snapshot's rows together with the place of each: the data file it is in, and its position there.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::spec::Struct;
use roaring::RoaringBitmap;

use crate::scan::LakeTable;
use crate::scan::prune::Predicate;
use crate::scan::snapshot_files::{CONCURRENT_READS, PlannedFile};

/// The columns behind those of the table.
const FILE: &str = "$file";
const POSITION: &str = "$pos";

/// A data file that rows are read from, for whoever deletes some of them.
#[derive(Clone, Debug)]
pub(crate) struct EditedFile {
    /// As the manifest has it, byte for byte.
    pub path: String,
    pub spec_id: i32,
    pub partition: Struct,
}

/// A table that has the columns `$file`, a number in the list of files, and `$pos`, counted from 0, behind its own.
#[derive(Clone, Debug)]
pub(crate) struct PositionedTable {
    table: LakeTable,
    schema: SchemaRef,
    files: Arc<Mutex<Vec<EditedFile>>>,
}

impl PositionedTable {
    pub fn new(table: LakeTable) -> Self {
        let own = table.columns.arrow.fields().iter().cloned();
        let places = [Field::new(FILE, DataType::Int32, false), Field::new(POSITION, DataType::Int64, false)];
        let schema = Arc::new(Schema::new(own.chain(places.map(Arc::new)).collect::<Vec<_>>()));
        Self { table, schema, files: Arc::default() }
    }

    pub fn table(&self) -> &LakeTable {
        &self.table
    }

    /// The file that `$file` names.
    pub fn file(&self, number: i32) -> Option<EditedFile> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(number).ok().and_then(|number| files.get(number).cloned())
    }

    fn register(&self, file: &PlannedFile) -> i32 {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push(EditedFile {
            path: file.entry.file_path().to_owned(),
            spec_id: file.spec_id,
            partition: file.entry.data_file().partition().clone(),
        });
        files.len() as i32 - 1
    }
}

#[async_trait]
impl TableProvider for PositionedTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        let own_count = self.table.columns.arrow.fields().len();
        let own: Vec<usize> = projection.iter().copied().filter(|index| *index < own_count).collect();
        // A filter on the place of a row is not one that files can be held against.
        let is_own =
            |filter: &&Expr| !filter.column_refs().iter().any(|column| [FILE, POSITION].contains(&column.name()));
        let filters: Vec<Expr> = filters.iter().filter(is_own).cloned().collect();
        let predicate = Predicate::new(state, &self.table.columns, &filters)?;
        let files = self.table.plan(&predicate).await.map_err(|error| DataFusionError::External(error.into()))?;

        let one_by_one = in_one_piece(state)?;
        let everything = Predicate::new(state, &self.table.columns, &[])?;
        let mut plans = Vec::with_capacity(files.len());
        for file in files {
            let (one_by_one, everything, own) = (&one_by_one, &everything, &own);
            plans.push(async move {
                let (number, deleted) = (self.register(&file), file.deleted.clone());
                let live_rows = file.live_rows();
                let path = file.entry.file_path().to_owned();
                let plan = self.table.execute(one_by_one, vec![file], everything, Some(own), None).await?;
                Ok::<_, DataFusionError>(Arc::new(PositionedFile { number, path, deleted, live_rows, plan }))
            });
        }
        let files: Vec<Arc<PositionedFile>> = stream::iter(plans).buffered(CONCURRENT_READS).try_collect().await?;
        let schema = Arc::new(self.schema.project(projection)?);
        Ok(Arc::new(PositionedExec::new(schema, files, state.config().target_partitions())))
    }
}

/// The same session, in which a file is not cut: its rows then come as they stand in it.
fn in_one_piece(state: &dyn Session) -> Result<SessionState> {
    let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
        return plan_err!("rows have places in a session of DataFusion's own only");
    };
    let config = state.config().clone().with_target_partitions(1);
    Ok(SessionStateBuilder::new_from_existing(state.clone()).with_config(config).build())
}

/// A file and the plan that reads its live rows in their order.
struct PositionedFile {
    number: i32,
    path: String,
    deleted: Option<Arc<RoaringBitmap>>,
    live_rows: u64,
    plan: Arc<dyn ExecutionPlan>,
}

/// Reads files one after the other, in as many partitions as they are dealt to.
struct PositionedExec {
    schema: SchemaRef,
    partitions: Vec<Vec<Arc<PositionedFile>>>,
    properties: Arc<PlanProperties>,
}

impl PositionedExec {
    fn new(schema: SchemaRef, files: Vec<Arc<PositionedFile>>, partitions: usize) -> Self {
        let partitions = partitions.clamp(1, files.len().max(1));
        let mut dealt: Vec<Vec<Arc<PositionedFile>>> = vec![Vec::new(); partitions];
        for (index, file) in files.into_iter().enumerate() {
            dealt[index % partitions].push(file);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { schema, partitions: dealt, properties: Arc::new(properties) }
    }
}

impl ExecutionPlan for PositionedExec {
    fn name(&self) -> &'static str {
        "PositionedExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None: what optimizers may change below would change the order of the rows.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema.clone();
        let files = self.partitions[partition].clone();
        let rows = stream::iter(files).map(move |file| placed(&file, &schema, context.clone())).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let files = self.partitions.iter().flatten();
        let read = files.filter_map(|file| Some(file.plan.metrics()?.sum_by_name("bytes_scanned")?.as_usize()));
        let metrics = ExecutionPlanMetricsSet::new();
        MetricBuilder::new(&metrics).counter("bytes_scanned", 0).add(read.sum());
        Some(metrics.clone_inner())
    }
}

/// The rows of a file in the columns of `schema`.
fn placed(
    file: &Arc<PositionedFile>,
    schema: &SchemaRef,
    context: Arc<TaskContext>,
) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
    let mut places = Places { file: file.clone(), schema: schema.clone(), next: 0, given: 0 };
    let rows = file.plan.execute(0, context)?;
    let rows = rows.map(Some).chain(stream::iter([None]));
    Ok(rows.filter_map(move |rows| {
        let placed = match rows {
            Some(rows) => Some(rows.and_then(|rows| places.add(&rows))),
            None => places.check().err().map(Err),
        };
        async move { placed }
    }))
}

/// How far a file is read.
struct Places {
    file: Arc<PositionedFile>,
    schema: SchemaRef,
    /// The position to look at next.
    next: u32,
    given: u64,
}

impl Places {
    fn add(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let row_count = rows.num_rows();
        let mut positions = Vec::with_capacity(row_count);
        while positions.len() < row_count {
            let is_live = self.file.deleted.as_ref().is_none_or(|deleted| !deleted.contains(self.next));
            if is_live {
                positions.push(i64::from(self.next));
            }
            self.next += 1;
        }
        self.given += row_count as u64;
        let mut own = rows.columns().iter();
        let columns = self.schema.fields().iter().map(|field| match field.name().as_str() {
            FILE => Some(Arc::new(Int32Array::from(vec![self.file.number; row_count])) as ArrayRef),
            POSITION => Some(Arc::new(Int64Array::from(positions.clone())) as ArrayRef),
            _ => own.next().cloned(),
        });
        let Some(columns) = columns.collect::<Option<Vec<ArrayRef>>>() else {
            return exec_err!("{} gave fewer columns than were asked for", self.file.path);
        };
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// A row more or less would move the places of those behind it.
    fn check(&self) -> Result<()> {
        match self.given == self.file.live_rows {
            true => Ok(()),
            false => exec_err!("{} has {} live rows, not {}", self.file.path, self.given, self.file.live_rows),
        }
    }
}

impl fmt::Debug for PositionedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PositionedExec").field("partitions", &self.partitions.len()).finish_non_exhaustive()
    }
}

impl DisplayAs for PositionedExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.partitions.iter().map(Vec::len).sum();
        write!(f, "PositionedExec: files={files}")
    }
}
