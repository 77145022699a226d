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
use iceberg::spec::Schema as IcebergSchema;
use iceberg::{NamespaceIdent, TableIdent};
use lake::{Catalog, ErrorKind, LakeTable, ScanCache};

use crate::catalogs::Catalogs;
use crate::own_tables::{DatabaseDefinition, OwnTables};
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
    fn nothing() -> Self {
        Self { columns: Some(BTreeSet::new()), row_filter: Some("FALSE".to_owned()) }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.columns.is_none() && self.row_filter.is_none()
    }

    /// Tells whether a column of the table is visible.
    pub(crate) fn shows(&self, column: &str) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.contains(&column.to_lowercase()))
    }

    /// Tells whether the column is visible that is or holds the field of this id.
    pub(crate) fn shows_field(&self, schema: &IcebergSchema, field_id: i32) -> bool {
        if self.columns.is_none() {
            return true;
        }
        let columns = schema.as_struct().fields();
        if let Some(column) = columns.iter().find(|column| column.id == field_id) {
            return self.shows(&column.name);
        }
        let Some(path) = schema.name_by_field_id(field_id) else { return false };
        let holds = |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let mut holders = columns.iter().filter(|column| holds(&column.name)).peekable();
        holders.peek().is_some() && holders.all(|column| self.shows(&column.name))
    }
}

type See = dyn Fn(Option<&str>, &str, &str, &[&str]) -> Option<Visible> + Send + Sync;

type May = dyn Fn(Write, Option<&str>, &str, &str) -> bool + Send + Sync;

/// A way to change a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Insert,
    Delete,
    Alter,
    Drop,
    CreateTable,
    /// And to drop them.
    CreateDatabase,
}

impl fmt::Display for Write {
    /// As in `not allowed to INSERT INTO …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT INTO",
            Self::Delete => "DELETE FROM",
            Self::Alter => "ALTER",
            Self::Drop => "DROP",
            Self::CreateTable | Self::CreateDatabase => "CREATE",
        })
    }
}

/// What a query may see: of each table, by catalog, namespace and name; and what it may change. Cheap to clone.
#[derive(Clone)]
pub struct Sight(Option<Arc<See>>, Option<Arc<May>>);

impl Sight {
    pub fn everything() -> Self {
        Self(None, None)
    }

    /// `see` is given catalog, namespace, name and columns of a table. The catalog is `None` for the engine's own, also
    /// where a query names that one as `AwsDataCatalog`; another one is spelled as [`Catalogs`] lists it. `see` gives `None`
    /// for a table that does not exist to the principal; it is asked without columns where a table is only listed.
    pub fn new(see: impl Fn(Option<&str>, &str, &str, &[&str]) -> Option<Visible> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(see)), None)
    }

    /// The same sight, for somebody who may also change tables: `may` is given catalog, namespace and name as `see` is.
    pub fn changing(self, may: impl Fn(Write, Option<&str>, &str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(self.0, Some(Arc::new(may)))
    }

    /// Who sees everything may change everything; who does not, nothing but what was said.
    pub(crate) fn allows(&self, write: Write, catalog: Option<&str>, namespace: &str, name: &str) -> bool {
        match &self.1 {
            Some(may) => may(write, catalog, namespace, name),
            None => self.0.is_none(),
        }
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Sight(limited)" } else { "Sight(everything)" })
    }
}

/// The catalogs of which a sight shows something. Others are not found, and not suggested either.
pub(crate) struct SeenCatalogs<'a> {
    pub catalogs: &'a dyn Catalogs,
    /// What the engine's own catalog goes by.
    pub own_names: &'a [String],
    pub sight: &'a Sight,
}

impl SeenCatalogs<'_> {
    pub async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        let mut seen = Vec::new();
        for name in self.catalogs.list_catalogs().await? {
            if self.sight.0.is_none() || self.catalog(&name).await?.is_some() {
                seen.push(name);
            }
        }
        Ok(seen)
    }

    pub async fn catalog(&self, name: &str) -> lake::Result<Option<SeenTables>> {
        let Some(tables) = self.catalogs.catalog(name).await? else { return Ok(None) };
        let is_own = self.own_names.iter().any(|own| own.eq_ignore_ascii_case(name));
        if is_own || self.sight.0.is_none() {
            let catalog = (!is_own).then(|| name.to_owned());
            return Ok(Some(SeenTables { tables, catalog, sight: self.sight.clone() }));
        }
        let listed = self.catalogs.list_catalogs().await?;
        let exact = listed.iter().find(|known| *known == name);
        let spelled = exact.or_else(|| listed.iter().find(|known| known.eq_ignore_ascii_case(name)));
        let catalog = spelled.map_or_else(|| name.to_owned(), String::clone);
        let seen = SeenTables { tables, catalog: Some(catalog), sight: self.sight.clone() };
        Ok((!seen.list_namespaces().await?.is_empty()).then_some(seen))
    }
}

/// The tables of a catalog that a sight shows. Others are not found, and not suggested either.
pub(crate) struct SeenTables {
    tables: Arc<dyn Tables>,
    /// `None` where it is the engine's own.
    catalog: Option<String>,
    sight: Sight,
}

impl SeenTables {
    pub fn catalog(&self) -> Option<&str> {
        self.catalog.as_deref()
    }

    /// What is visible of a table as it is now. One that cannot be seen, although it was found, has no rows.
    pub fn visible(&self, table: &LakeTable) -> Visible {
        let identifier = table.table().identifier();
        self.visible_of(&identifier.namespace().to_url_string(), identifier.name(), &table.schema())
    }

    /// What is visible of a table with these columns.
    pub fn visible_of(&self, namespace: &str, name: &str, schema: &SchemaRef) -> Visible {
        let Some(see) = &self.sight.0 else { return Visible::default() };
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        see(self.catalog.as_deref(), namespace, name, &columns).unwrap_or_else(Visible::nothing)
    }

    /// A table that is not the lake's as it is seen.
    pub fn see_other(&self, namespace: &str, name: &str, table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        match self.visible_of(namespace, name, &table.schema()) {
            visible if visible.is_whole() => table,
            visible => Arc::new(LimitedTable::over(table, format!("{namespace}.{name}"), visible)),
        }
    }

    /// The table as it is seen.
    pub fn see(&self, table: &LakeTable) -> Arc<dyn TableProvider> {
        self.see_version(table, table)
    }

    /// The state `then` of a table as it is seen. What is visible goes by the table as it is `now`: a column is the same
    /// under an earlier name.
    pub fn see_version(&self, then: &LakeTable, now: &LakeTable) -> Arc<dyn TableProvider> {
        match self.visible(now) {
            visible if visible.is_whole() => Arc::new(then.clone()),
            visible => Arc::new(LimitedTable::new(then, now, visible)),
        }
    }

    fn shows(&self, table: &TableIdent) -> bool {
        let namespace = || table.namespace().to_url_string();
        let see = self.sight.0.as_ref();
        see.is_none_or(|see| see(self.catalog.as_deref(), &namespace(), table.name(), &[]).is_some())
    }
}

#[async_trait]
impl Tables for SeenTables {
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
        tables.retain(|table| self.shows(table));
        Ok(tables)
    }

    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> lake::Result<LakeTable> {
        if self.shows(table) {
            return self.tables.load(table, cache).await;
        }
        Err(lake::Error::new(ErrorKind::NotFound, format!("no table named {table}")))
    }

    async fn writable(&self, table: &TableIdent) -> lake::Result<Option<(Catalog, TableIdent)>> {
        self.tables.writable(table).await
    }

    async fn create_database(&self, name: &str, definition: &DatabaseDefinition) -> lake::Result<bool> {
        self.tables.create_database(name, definition).await
    }

    async fn drop_database(&self, name: &str, with_tables: bool) -> lake::Result<bool> {
        self.tables.drop_database(name, with_tables).await
    }

    fn is_shown(&self, table: &TableIdent) -> bool {
        self.shows(table)
    }

    fn own(&self, namespace: &NamespaceIdent) -> Option<Arc<dyn OwnTables>> {
        self.tables.own(namespace)
    }
}

/// A table of which some rows or columns are not there.
#[derive(Debug)]
struct LimitedTable {
    table: Arc<dyn TableProvider>,
    name: String,
    /// All columns, and by what name the row filter knows them.
    columns: Vec<(String, String)>,
    schema: SchemaRef,
    row_filter: Option<String>,
}

impl LimitedTable {
    fn new(table: &LakeTable, now: &LakeTable, visible: Visible) -> Self {
        let whole = table.schema();
        let current = |id| now.columns().as_struct().fields().iter().find(|column| column.id == id);
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for (field, column) in whole.fields().iter().zip(table.columns().as_struct().fields()) {
            let (known_as, is_visible) = match current(column.id) {
                Some(current) => (current.name.clone(), visible.shows(&current.name)),
                // A column that is gone has no name that a filter could mean, or a grant.
                None => (format!("#{}", column.id), visible.columns.is_none()),
            };
            columns.push((field.name().clone(), known_as));
            if is_visible {
                fields.push(field.clone());
            }
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
        let name = table.table().identifier().to_string();
        Self { table: Arc::new(table.clone()), name, columns, schema, row_filter: visible.row_filter }
    }

    fn over(table: Arc<dyn TableProvider>, name: String, visible: Visible) -> Self {
        let whole = table.schema();
        let own = whole.fields().iter().map(|field| (field.name().clone(), field.name().clone()));
        let fields: Vec<_> = whole.fields().iter().filter(|field| visible.shows(field.name())).cloned().collect();
        let schema = Arc::new(Schema::new(fields));
        Self { columns: own.collect(), table, name, schema, row_filter: visible.row_filter }
    }

    /// The condition on rows of `schema`. What cannot be read lets nobody see anything.
    fn condition(&self, state: &dyn Session, schema: &DFSchema) -> Result<Option<Expr>> {
        let Some(text) = &self.row_filter else { return Ok(None) };
        let Some(state) = state.as_any().downcast_ref::<SessionState>() else {
            return plan_err!("the row filter of {} cannot be read", self.name);
        };
        match state.create_logical_expr(text, schema) {
            Ok(condition) => Ok(Some(condition)),
            // The cause would name columns.
            Err(_) => plan_err!("the row filter of {} cannot be read", self.name),
        }
    }

    fn is_renamed(&self) -> bool {
        self.columns.iter().any(|(own, known_as)| own != known_as)
    }

    /// A column under its own name, where the row filter knows it by another.
    fn column(&self, own: &str) -> Expr {
        let known_as = self.columns.iter().find(|(name, _)| name == own).map_or(own, |(_, known_as)| known_as);
        if known_as == own { ident(own) } else { ident(known_as).alias(own) }
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
        if self.is_renamed() {
            let renamed = self.columns.iter().map(|(own, known_as)| ident(own).alias(known_as));
            plan = plan.project(renamed.collect::<Vec<_>>())?;
        }
        let known = DFSchema::from_unqualified_fields(plan.schema().fields().clone(), Default::default())?;
        if let Some(condition) = self.condition(state, &known)? {
            plan = plan.filter(condition)?;
        }
        let fields = self.schema.fields();
        let projected: Vec<Expr> = match projection {
            Some(projection) => projection.iter().map(|index| self.column(fields[*index].name())).collect(),
            None => fields.iter().map(|field| self.column(field.name())).collect(),
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
