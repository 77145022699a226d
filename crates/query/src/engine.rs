//! Takes a query from its text to its answer.

use std::collections::HashMap;
use std::sync::Arc;

use ambient::Ambient;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SQLOptions, SessionConfig};
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::object_name_to_table_reference;
use futures::future::try_join_all;
use iceberg::TableIdent;
use lake::{LakeTable, ScanCache};

use crate::answer::{Answer, TableRead};
use crate::diagnosis::{self, Known};
use crate::error::Result;
use crate::statement::{self, Query, Reading};
use crate::tables::{self, Tables};
use crate::visible::{self, Sight};
use crate::{letter_case, listing};

/// What DataFusion calls the place where a name without a catalog or namespace is looked up.
const CATALOG: &str = "lake";
const SCHEMA: &str = "default";
/// How many names of a query may be written in another case than their column's; each costs a round of planning.
const CORRECTIONS_MAX: usize = 256;
/// How many of the hungriest operators an out-of-memory error names.
const CONSUMERS_NAMED: usize = 3;

#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where a table is looked for first when a query names none.
    pub default_namespace: Option<String>,
    /// How many threads' worth of work a query is cut into; the number of cores if `None`.
    pub target_partitions: Option<usize>,
    /// What all queries together may hold for sorting, grouping and joining; beyond it they spill to disk, then fail.
    pub memory_bytes_max: Option<usize>,
}

/// Answers queries over the tables of a catalog. Share one: it keeps manifests, deletes and footers between queries.
pub struct Engine {
    tables: Arc<dyn Tables>,
    ambient: Ambient,
    options: EngineOptions,
    cache: Arc<ScanCache>,
    state: SessionState,
}

/// A table of a query, under the name that the query gives it.
struct Named {
    reference: TableReference,
    table: LakeTable,
    /// What the query sees of it.
    seen: Arc<dyn TableProvider>,
}

impl Engine {
    pub fn new(tables: impl Tables + 'static, ambient: Ambient, options: EngineOptions) -> Result<Self> {
        let mut config = SessionConfig::new().with_default_catalog_and_schema(CATALOG, SCHEMA);
        if let Some(target_partitions) = options.target_partitions {
            config = config.with_target_partitions(target_partitions);
        }
        let settings = config.options_mut();
        // A lake table is cut into even pieces as it is planned.
        settings.optimizer.repartition_file_scans = false;
        settings.execution.time_zone = Some("+00:00".to_owned());
        settings.sql_parser.collect_spans = true;
        // As Athena has them: `1.5` is exact, and NULL comes last in either direction.
        settings.sql_parser.parse_float_as_decimal = true;
        settings.sql_parser.default_null_ordering = "nulls_last".to_owned();
        let runtime = runtime(options.memory_bytes_max).map_err(|error| diagnosis::of(error, &[]))?;
        let state = SessionStateBuilder::new_with_default_features().with_config(config).with_runtime_env(runtime);
        Ok(Self { tables: Arc::new(tables), ambient, options, cache: Arc::default(), state: state.build() })
    }

    /// Answers the one statement in `sql`.
    pub async fn query(&self, sql: &str) -> Result<Answer> {
        self.answer(statement::parse_one(sql)?).await
    }

    /// Answers a statement. Every table is loaded anew and stays as it is for the whole query.
    pub async fn answer(&self, query: Query) -> Result<Answer> {
        self.answer_within(query, &Sight::everything()).await
    }

    /// Answers a statement for somebody who sees only what `sight` lets through. The rest does not exist.
    pub async fn answer_within(&self, query: Query, sight: &Sight) -> Result<Answer> {
        let tables = sight.tables(self.tables.as_ref());
        match query.0 {
            Reading::Query(statement) => self.run(*statement, sight).await,
            Reading::ShowNamespaces => listing::namespaces(&tables).await,
            Reading::ShowTables { namespace, like } => {
                listing::list_tables(&tables, namespace.as_deref(), like.as_deref()).await
            }
            Reading::Describe(name) => {
                let reference = object_name_to_table_reference(name, true);
                let reference = reference.map_err(|error| diagnosis::of(error, &[]))?;
                let table = self.load(&reference, sight).await?;
                Ok(listing::describe(&table, sight.of(&table).schema().as_ref()))
            }
        }
    }

    async fn run(&self, statement: Statement, sight: &Sight) -> Result<Answer> {
        let references = self.state.resolve_table_references(&statement);
        let references = references.map_err(|error| diagnosis::of(error, &[]))?;
        let tables = references.into_iter().filter(|reference| !self.is_function(reference));
        let mut named = try_join_all(tables.map(async |reference| {
            let table = self.load(&reference, sight).await?;
            let seen = sight.of(&table);
            Ok::<_, crate::Error>(Named { reference, table, seen })
        }))
        .await?;
        agree_on_snapshots(&mut named, sight);

        let known = |Named { table, seen, .. }: &Named| Known {
            name: table.table().identifier().to_string(),
            schema: seen.schema(),
        };
        let known: Vec<Known> = named.iter().map(known).collect();
        let answered = async {
            let state = self.session(&named)?;
            execute(&state, statement).await
        };
        let answer = answered.await.map_err(|error| diagnosis::of(error, &known))?;
        let mut tables: Vec<TableRead> = named.iter().map(|named| TableRead::of(&named.table)).collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        tables.dedup();
        Ok(Answer { tables, ..answer })
    }

    async fn load(&self, reference: &TableReference, sight: &Sight) -> Result<LakeTable> {
        let tables = sight.tables(self.tables.as_ref());
        tables::load(&tables, &self.cache, self.options.default_namespace.as_deref(), reference).await
    }

    /// `generate_series(1, 9)` stands where a table does.
    fn is_function(&self, reference: &TableReference) -> bool {
        reference.schema().is_none() && self.state.table_functions().contains_key(reference.table())
    }

    /// A session that knows these tables and no others, at this moment in time.
    fn session(&self, named: &[Named]) -> Result<SessionState, DataFusionError> {
        let mut schemas: HashMap<&str, MemorySchemaProvider> = HashMap::new();
        for Named { reference, seen, .. } in named {
            let schema = schemas.entry(reference.schema().unwrap_or(SCHEMA)).or_default();
            schema.register_table(reference.table().to_owned(), seen.clone())?;
        }
        let catalog = MemoryCatalogProvider::new();
        for (name, schema) in schemas {
            catalog.register_schema(name, Arc::new(schema))?;
        }
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));

        let builder = SessionStateBuilder::new_from_existing(self.state.clone());
        let mut state = builder.with_catalog_list(Arc::new(catalogs)).build();
        state.mark_start_execution();
        // `now()` and CURRENT_DATE, in UTC.
        state.execution_props_mut().query_execution_start_time = Some(self.ambient.now().into());
        Ok(state)
    }
}

/// A table named twice, as `t` and as `ns.t`, was loaded twice; it is to be at one snapshot all the same.
fn agree_on_snapshots(named: &mut [Named], sight: &Sight) {
    let mut tables: HashMap<TableIdent, LakeTable> = HashMap::new();
    for Named { table, seen, .. } in named {
        let identifier = table.table().identifier().clone();
        *table = tables.entry(identifier).or_insert_with(|| table.clone()).clone();
        *seen = sight.of(table);
    }
}

async fn execute(state: &SessionState, statement: Statement) -> Result<Answer, DataFusionError> {
    let plan = plan(state, statement).await?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(&plan)?;
    let plan = state.create_physical_plan(&plan).await?;
    let schema = plan.schema();
    let batches = collect(plan.clone(), state.task_ctx()).await?;
    Ok(Answer { schema, batches, bytes_read: bytes_scanned(plan.as_ref()), tables: Vec::new() })
}

async fn plan(state: &SessionState, mut statement: Statement) -> Result<LogicalPlan, DataFusionError> {
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

fn runtime(memory_bytes_max: Option<usize>) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let mut builder = RuntimeEnvBuilder::new();
    if let Some(bytes) = memory_bytes_max {
        let named = CONSUMERS_NAMED.try_into().expect("it is not zero");
        builder = builder.with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), named)));
    }
    builder.build_arc()
}
