//! Keeps a query to what its principal may see of each table.
//!
//! A limited table reads through a barrier: rows and columns are taken away beneath it, and nothing of the query gets
//! below, neither its predicates (which could fail on rows that it must not know of) nor EXPLAIN's eyes.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Statistics, exec_err, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::prelude::ident;
use iceberg::{NamespaceIdent, TableIdent};
use lake::{ErrorKind, LakeTable, ScanCache};

use crate::tables::Tables;

/// What somebody may see of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// Columns by name, in lower case; all of them where it is `None`.
    pub columns: Option<BTreeSet<String>>,
    /// A condition in SQL over the table's columns, also those that are not visible; all rows where it is `None`.
    pub row_filter: Option<String>,
}

impl Visible {
    fn is_whole(&self) -> bool {
        self.columns.is_none() && self.row_filter.is_none()
    }
}

type See = dyn Fn(&str, &str, &[&str]) -> Option<Visible> + Send + Sync;

/// What a query may see: of each table, by namespace and name. Cheap to clone.
#[derive(Clone)]
pub struct Sight(Option<Arc<See>>);

impl Sight {
    pub fn everything() -> Self {
        Self(None)
    }

    /// `see` is given namespace, name and columns of a table. It gives `None` for a table that does not exist to the
    /// principal; it is asked without columns where a table is only listed.
    pub fn new(see: impl Fn(&str, &str, &[&str]) -> Option<Visible> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(see)))
    }

    /// The tables that exist for this sight.
    pub(crate) fn tables<'a>(&'a self, tables: &'a dyn Tables) -> SeenTables<'a> {
        SeenTables { tables, sight: self }
    }

    /// The table as it is seen. One that cannot be seen, although it was found, has no rows.
    pub(crate) fn of(&self, table: &LakeTable) -> Arc<dyn TableProvider> {
        let Some(see) = &self.0 else { return Arc::new(table.clone()) };
        let schema = table.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let identifier = table.table().identifier();
        let visible = see(&identifier.namespace().to_url_string(), identifier.name(), &columns);
        let nothing = || Visible { columns: Some(BTreeSet::new()), row_filter: Some("FALSE".to_owned()) };
        match visible.unwrap_or_else(nothing) {
            visible if visible.is_whole() => Arc::new(table.clone()),
            visible => Arc::new(LimitedTable::new(table.clone(), visible)),
        }
    }

    fn shows(&self, table: &TableIdent) -> bool {
        self.0.as_ref().is_none_or(|see| see(&table.namespace().to_url_string(), table.name(), &[]).is_some())
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sight(limited)" } else { "Sight(everything)" })
    }
}

/// The tables that a sight shows. Others are not found, and not suggested either.
pub(crate) struct SeenTables<'a> {
    tables: &'a dyn Tables,
    sight: &'a Sight,
}

#[async_trait]
impl Tables for SeenTables<'_> {
    async fn list_namespaces(&self) -> lake::Result<Vec<NamespaceIdent>> {
        let namespaces = self.tables.list_namespaces().await?;
        if self.sight.0.is_none() {
            return Ok(namespaces);
        }
        let mut seen = Vec::new();
        for namespace in namespaces {
            if !self.list_tables(&namespace).await?.is_empty() {
                seen.push(namespace);
            }
        }
        Ok(seen)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> lake::Result<Vec<TableIdent>> {
        let mut tables = self.tables.list_tables(namespace).await?;
        tables.retain(|table| self.sight.shows(table));
        Ok(tables)
    }

    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> lake::Result<LakeTable> {
        if self.sight.shows(table) {
            return self.tables.load(table, cache).await;
        }
        Err(lake::Error::new(ErrorKind::NotFound, format!("no table named {table}")))
    }
}

/// A table of which some rows or columns are not there.
#[derive(Debug)]
struct LimitedTable {
    table: Arc<dyn TableProvider>,
    name: String,
    schema: SchemaRef,
    row_filter: Option<String>,
}

impl LimitedTable {
    fn new(table: LakeTable, Visible { columns, row_filter }: Visible) -> Self {
        let whole = table.schema();
        let is_visible = |name: &str| columns.as_ref().is_none_or(|columns| columns.contains(&name.to_lowercase()));
        let fields: Vec<_> = whole.fields().iter().filter(|field| is_visible(field.name())).cloned().collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
        let name = table.table().identifier().to_string();
        Self { table: Arc::new(table), name, schema, row_filter }
    }

    /// The condition on rows. What cannot be read lets nobody see anything.
    fn condition(&self, state: &dyn Session) -> Result<Option<Expr>> {
        let Some(text) = &self.row_filter else { return Ok(None) };
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return plan_err!("the row filter of {} cannot be read", self.name);
        };
        let schema = DFSchema::try_from(self.table.schema())?;
        match state.create_logical_expr(text, &schema) {
            Ok(condition) => Ok(Some(condition)),
            // The cause would name columns.
            Err(_) => plan_err!("the row filter of {} cannot be read", self.name),
        }
    }
}

#[async_trait]
impl TableProvider for LimitedTable {
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
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::scan("t", provider_as_source(self.table.clone()), None)?;
        if let Some(condition) = self.condition(state)? {
            plan = plan.filter(condition)?;
        }
        let fields = self.schema.fields();
        let projected: Vec<Expr> = match projection {
            Some(projection) => projection.iter().map(|index| ident(fields[*index].name())).collect(),
            None => fields.iter().map(|field| ident(field.name())).collect(),
        };
        let plan = plan.project(projected)?.limit(0, limit)?.build()?;
        let hidden = state.create_physical_plan(&plan).await?;
        Ok(Arc::new(BarrierExec { name: self.name.clone(), hidden }))
    }
}

/// A plan that nobody above sees into.
#[derive(Debug)]
struct BarrierExec {
    name: String,
    hidden: Arc<dyn ExecutionPlan>,
}

/// What lies behind a barrier, where `plan` is one.
pub(crate) fn hidden(plan: &dyn ExecutionPlan) -> Option<&dyn ExecutionPlan> {
    plan.as_any().downcast_ref::<BarrierExec>().map(|barrier| barrier.hidden.as_ref())
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LimitedTable: {}", self.name)
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &'static str {
        "BarrierExec"
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.hidden.properties()
    }

    /// None: optimizer rules, EXPLAIN and metrics end here.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { exec_err!("a barrier has no children") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.hidden.execute(partition, context)
    }

    /// Unknown: bounds and counts are data.
    fn partition_statistics(&self, _partition: Option<usize>) -> Result<Statistics> {
        Ok(Statistics::new_unknown(&self.schema()))
    }
}
