//! The rows of a query, as they are computed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use futures::StreamExt;

use crate::answer::{Answer, TableRead, Wrote};
use crate::diagnosis::{self, Known};
use crate::error::Result;
use crate::memory::Memory;
use crate::read_limit::ReadLimit;
use crate::{column_names, letter_case, visible};

/// How many names of a query may be written in another case than their column's; each costs a round of planning.
const CORRECTIONS_MAX: usize = 256;

/// A query that is under way. Dropping it ends its work.
pub struct Rows {
    schema: SchemaRef,
    source: Source,
    tables: Vec<TableRead>,
    /// For what errors say.
    known: Vec<Known>,
    wrote: Option<Wrote>,
    /// The limit that it shares with others.
    memory_bytes_max: Option<usize>,
    read_limit: ReadLimit,
}

/// What a query has read so far.
#[derive(Clone)]
pub struct Meter {
    /// What still reads; `None` where nothing does.
    plan: Option<Arc<dyn ExecutionPlan>>,
    /// What was read before.
    bytes_read: u64,
}

impl Meter {
    /// Bytes of data files; what only metadata answers reads none.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read + self.plan.as_ref().map_or(0, |plan| bytes_scanned(plan.as_ref()))
    }
}

enum Source {
    Running {
        plan: Arc<dyn ExecutionPlan>,
        stream: SendableRecordBatchStream,
    },
    /// What is answered already, and how many bytes were read for it.
    Ready(std::vec::IntoIter<RecordBatch>, u64),
}

impl Rows {
    pub(crate) async fn start(state: &SessionState, statement: Statement) -> Result<Self, DataFusionError> {
        let plan = plan(state, statement).await?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        read_only.verify_plan(&plan)?;
        let plan = state.create_physical_plan(&plan).await?;
        let schema = column_names::shown(&plan.schema());
        let stream = execute_stream(plan.clone(), state.task_ctx())?;
        Ok(Self { source: Source::Running { plan, stream }, ..Self::of_schema(schema) })
    }

    pub(crate) fn of(self, tables: Vec<TableRead>, known: Vec<Known>, memory: &Memory) -> Self {
        Self { tables, known, memory_bytes_max: memory.bytes_max, ..self }
    }

    pub(crate) fn within(self, read_limit: ReadLimit) -> Self {
        Self { read_limit, ..self }
    }

    /// No rows, with columns of text.
    pub(crate) fn none(columns: Vec<String>) -> Self {
        let fields = columns.into_iter().map(|name| Field::new(name, DataType::Utf8, true));
        Self::of_schema(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn of_schema(schema: SchemaRef) -> Self {
        let source = Source::Ready(Vec::new().into_iter(), 0);
        let (tables, known) = (Vec::new(), Vec::new());
        Self { schema, source, tables, known, wrote: None, memory_bytes_max: None, read_limit: ReadLimit::default() }
    }

    /// Each table the query named, in the order of their names.
    pub fn tables(&self) -> &[TableRead] {
        &self.tables
    }

    /// What the statement has changed; `None` for a query that reads.
    pub fn wrote(&self) -> Option<&Wrote> {
        self.wrote.as_ref()
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` behind the last. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let (limit, meter) = (self.read_limit, self.meter());
        match &mut self.source {
            Source::Running { stream, .. } => {
                let batch = tokio::select! {
                    biased;
                    batch = stream.next() => batch,
                    error = limit.exceeded(&meter) => return Some(Err(error)),
                };
                // A short query ends before anybody looks.
                if let Err(error) = limit.check(&meter) {
                    return Some(Err(error));
                }
                let batch = batch?;
                let failed = |error| diagnosis::within(diagnosis::of(error, &self.known), self.memory_bytes_max);
                Some(batch.map_err(failed))
            }
            Source::Ready(batches, _) => batches.next().map(Ok),
        }
    }

    /// Tells, also while the next rows are waited for, what was read.
    pub fn meter(&self) -> Meter {
        match &self.source {
            Source::Running { plan, .. } => Meter { plan: Some(plan.clone()), bytes_read: 0 },
            Source::Ready(_, bytes_read) => Meter { plan: None, bytes_read: *bytes_read },
        }
    }

    /// Waits for all of them.
    pub async fn collect(mut self) -> Result<Answer> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(Answer {
            bytes_read: self.meter().bytes_read(),
            schema: self.schema,
            batches,
            tables: self.tables,
            wrote: self.wrote,
        })
    }
}

impl From<Answer> for Rows {
    fn from(answer: Answer) -> Self {
        let source = Source::Ready(answer.batches.into_iter(), answer.bytes_read);
        Self { source, tables: answer.tables, wrote: answer.wrote, ..Self::of_schema(answer.schema) }
    }
}

pub(crate) async fn plan(state: &SessionState, mut statement: Statement) -> Result<LogicalPlan, DataFusionError> {
    let mut corrections = 0;
    loop {
        match state.statement_to_plan(statement.clone()).await {
            Err(error) if corrections < CORRECTIONS_MAX && letter_case::correct(&mut statement, &error) => {
                corrections += 1;
            }
            planned => return planned,
        }
    }
}

fn bytes_scanned(plan: &dyn ExecutionPlan) -> u64 {
    if let Some(hidden) = visible::hidden(plan) {
        return bytes_scanned(hidden);
    }
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
    let own = own.map_or(0, |value| value.as_usize() as u64);
    own + plan.children().iter().map(|child| bytes_scanned(child.as_ref())).sum::<u64>()
}
