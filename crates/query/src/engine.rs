//! Takes a query from its text to its answer.

use std::collections::HashMap;
use std::sync::Arc;

use ambient::Ambient;
use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMillisecondType;
use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::catalog::{MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SQLOptions, SessionConfig};
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use futures::future::try_join_all;
use iceberg::TableIdent;
use lake::{LakeTable, ScanCache};
use uuid::Uuid;

use crate::answer::{Answer, TableRead};
use crate::arithmetic::{AsAthena, Operators};
use crate::catalogs::{Catalogs, Context, DEFAULT_CATALOG, OneCatalog};
use crate::diagnosis::{self, Known};
use crate::error::{Error, MEANING, Result};
use crate::statement::{self, Query, Reading};
use crate::tables::{self, Tables};
use crate::time_travel::{self, Version, Versions};
use crate::type_planner::AthenaTypes;
use crate::unnest::Unnesting;
use crate::visible::{self, SeenCatalogs, SeenTables, Sight};
use crate::{column_names, functions, letter_case, listing, metadata_table, outside, unnest};

/// What DataFusion calls the place where a name without a catalog or namespace is looked up.
const CATALOG: &str = "lake";
const SCHEMA: &str = "default";
/// How many names of a query may be written in another case than their column's; each costs a round of planning.
const CORRECTIONS_MAX: usize = 256;
/// How many of the hungriest operators an out-of-memory error names.
const CONSUMERS_NAMED: usize = 3;

#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// The catalog of names that give none; `AwsDataCatalog` if `None`.
    pub default_catalog: Option<String>,
    /// Where a table is looked for first when a query names none.
    pub default_namespace: Option<String>,
    /// How many threads' worth of work a query is cut into; the number of cores if `None`.
    pub target_partitions: Option<usize>,
    /// What all queries together may hold for sorting, grouping and joining; beyond it they spill to disk, then fail.
    pub memory_bytes_max: Option<usize>,
}

/// Answers queries over the tables of a catalog. Share one: it keeps manifests, deletes and footers between queries.
pub struct Engine {
    catalogs: Arc<dyn Catalogs>,
    /// What the catalog goes by that names without one are looked up in.
    own_names: Vec<String>,
    ambient: Ambient,
    options: EngineOptions,
    cache: Arc<ScanCache>,
    state: SessionState,
}

/// A table of a query, under the name that the query gives it.
struct Named {
    reference: TableReference,
    /// Where it was found.
    tables: SeenTables,
    table: LakeTable,
    /// Not at a version, and not its metadata.
    is_now: bool,
    /// What the query sees of it.
    seen: Arc<dyn TableProvider>,
}

impl Engine {
    /// An engine over one catalog, which goes by the default catalog's name.
    pub fn new(tables: impl Tables + 'static, ambient: Ambient, options: EngineOptions) -> Result<Self> {
        let names: Vec<String> =
            options.default_catalog.clone().into_iter().chain([DEFAULT_CATALOG.to_owned()]).collect();
        let catalog = OneCatalog { names: names.clone(), tables: Arc::new(tables) };
        Ok(Self { own_names: names, ..Self::over(catalog, ambient, options)? })
    }

    /// An engine over every catalog of `catalogs`.
    pub fn over(catalogs: impl Catalogs + 'static, ambient: Ambient, options: EngineOptions) -> Result<Self> {
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
        let builder = SessionStateBuilder::new_with_default_features().with_config(config).with_runtime_env(runtime);
        let builder = builder
            .with_type_planner(Arc::new(AthenaTypes))
            .with_analyzer_rules(analyzer_rules())
            .with_optimizer_rules(optimizer_rules());
        let mut state = builder.build();
        let planned =
            functions::register(&mut state).and_then(|()| state.register_relation_planner(Arc::new(Unnesting)));
        planned.map_err(|error| diagnosis::of(error, &[]))?;
        // Of several planners the first that can decides.
        let theirs = state.expr_planners().to_vec();
        let planners = std::iter::once(Arc::new(Operators) as Arc<dyn ExprPlanner>).chain(theirs).collect();
        let state = SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build();
        let own_names = vec![options.default_catalog.clone().unwrap_or_else(|| DEFAULT_CATALOG.to_owned())];
        Ok(Self { catalogs: Arc::new(catalogs), own_names, ambient, options, cache: Arc::default(), state })
    }

    /// Answers the one statement in `sql`.
    pub async fn query(&self, sql: &str) -> Result<Answer> {
        self.answer(statement::parse_one(sql)?).await
    }

    /// Answers a statement. Every table is loaded anew and stays as it is for the whole query.
    pub async fn answer(&self, query: Query) -> Result<Answer> {
        self.answer_in(&Context::default(), query).await
    }

    /// Answers a statement whose names mean what `context` says.
    pub async fn answer_in(&self, context: &Context, query: Query) -> Result<Answer> {
        self.answer_in_within(context, query, &Sight::everything()).await
    }

    /// Answers a statement for somebody who sees only what `sight` lets through. The rest does not exist.
    pub async fn answer_within(&self, query: Query, sight: &Sight) -> Result<Answer> {
        self.answer_in_within(&Context::default(), query, sight).await
    }

    /// Answers a statement whose names mean what `context` says, for somebody who sees only what `sight` lets through.
    pub async fn answer_in_within(&self, context: &Context, query: Query, sight: &Sight) -> Result<Answer> {
        match query.0 {
            Reading::Query(statement) => self.run(context, sight, *statement).await,
            Reading::ShowNamespaces { like } => {
                listing::namespaces(&self.tables(context, sight, None).await?, like.as_deref()).await
            }
            Reading::ShowTables { namespace, like } => {
                let namespace = namespace.or_else(|| context.database.clone());
                let tables = self.tables(context, sight, None).await?;
                listing::list_tables(&tables, namespace.as_deref(), like.as_deref()).await
            }
            Reading::Describe(name) => {
                let (_, tables, table) = self.load_named(context, sight, name).await?;
                Ok(listing::describe(&table, tables.see(&table).schema().as_ref()))
            }
            Reading::ShowCreate(name) => {
                let (_, tables, table) = self.load_named(context, sight, name).await?;
                Ok(listing::create(&table, &tables.visible(&table)))
            }
            Reading::ShowProperties(name) => {
                let (_, tables, table) = self.load_named(context, sight, name).await?;
                Ok(listing::properties(&table, &tables.visible(&table)))
            }
            Reading::ShowPartitions(name) => {
                let (reference, tables, table) = self.load_named(context, sight, name).await?;
                let visible = tables.visible(&table);
                // A partition's values are those of its rows, whichever these are.
                if visible.row_filter.is_some() {
                    return Err(tables::not_found(&tables, &reference).await);
                }
                metadata_table::list_partitions(&table, &visible).await
            }
        }
    }

    async fn run(&self, context: &Context, sight: &Sight, mut statement: Statement) -> Result<Answer> {
        let versions = Versions::take(&mut statement)?;
        as_planned(&mut statement)?;
        let references = self.state.resolve_table_references(&statement);
        let references = references.map_err(|error| diagnosis::of(error, &[]))?;
        let tables = references.into_iter().filter(|reference| !self.is_function(reference));
        let mut named = try_join_all(tables.map(|reference| self.named(context, sight, &versions, reference))).await?;
        agree_on_snapshots(&mut named);

        let known = |Named { table, seen, .. }: &Named| Known {
            name: table.table().identifier().to_string(),
            schema: seen.schema(),
        };
        let known: Vec<Known> = named.iter().map(known).collect();
        let answered = async {
            let state = self.session(&named)?;
            execute(&state, statement).await
        };
        let answer = answered.await.map_err(|error| functions::suggest(diagnosis::of(error, &known), &self.state))?;
        let mut tables: Vec<TableRead> = named.iter().map(|named| TableRead::of(&named.table)).collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        tables.dedup();
        Ok(Answer { tables, ..answer })
    }

    /// The tables of the catalog that `reference` names, or of the default one.
    async fn tables(&self, context: &Context, sight: &Sight, reference: Option<&TableReference>) -> Result<SeenTables> {
        let default = context.catalog.as_deref().or(self.options.default_catalog.as_deref());
        let default = default.unwrap_or(DEFAULT_CATALOG);
        let name = reference.and_then(TableReference::catalog).unwrap_or(default);
        let seen = SeenCatalogs { catalogs: self.catalogs.as_ref(), own_names: &self.own_names, sight };
        tables::catalog(&seen, name, reference).await
    }

    async fn load(
        &self,
        context: &Context,
        sight: &Sight,
        reference: &TableReference,
    ) -> Result<(SeenTables, LakeTable)> {
        let tables = self.tables(context, sight, Some(reference)).await?;
        let default = context.database.as_deref().or(self.options.default_namespace.as_deref());
        // The default database lies in the default catalog.
        let default = default.filter(|_| reference.catalog().is_none());
        let table = tables::load(&tables, &self.cache, default, reference).await?;
        Ok((tables, table))
    }

    async fn load_named(
        &self,
        context: &Context,
        sight: &Sight,
        name: ObjectName,
    ) -> Result<(TableReference, SeenTables, LakeTable)> {
        let reference = object_name_to_table_reference(name, true);
        let reference = reference.map_err(|error| diagnosis::of(error, &[]))?;
        let (tables, table) = self.load(context, sight, &reference).await?;
        Ok((reference, tables, table))
    }

    /// The table behind a name, at the version and in the guise that the name asks for.
    async fn named(
        &self,
        context: &Context,
        sight: &Sight,
        versions: &Versions,
        reference: TableReference,
    ) -> Result<Named> {
        let (name, version) = match versions.of(reference.table()) {
            Some((name, version)) => (name.as_str(), Some(version)),
            None => (reference.table(), None),
        };
        let full_name = with_name(&reference, name);
        let (name, kind) = match metadata_table::split(name) {
            Some((name, kind)) => (name, Some(kind)),
            None => (name, None),
        };
        let (tables, now) = self.load(context, sight, &with_name(&reference, name)).await?;
        let is_whole = tables.visible(&now).is_whole();
        // It tells of all rows and columns.
        if kind.is_some() && !is_whole {
            return Err(tables::not_found(&tables, &full_name).await);
        }
        let then = match version {
            None => Ok(None),
            Some(Version::Snapshot(id)) => time_travel::at_snapshot(&now, *id).map(Some),
            Some(Version::Reference(name)) => time_travel::at_reference(&now, name).map(Some),
            Some(Version::Time(expr)) => time_travel::at_time(&now, self.time_ms(expr).await?).map(Some),
        };
        // The way out is a metadata table.
        let then = then.map_err(|error| if is_whole { error } else { error.without_help() })?;
        let is_now = then.is_none() && kind.is_none();
        let table = then.unwrap_or_else(|| now.clone());
        let seen = match kind {
            Some(kind) => metadata_table::read(&table, kind).await?,
            None => tables.see_version(&table, &now),
        };
        Ok(Named { reference, tables, table, is_now, seen })
    }

    /// What an expression without columns comes to, as a time in milliseconds since 1970.
    async fn time_ms(&self, expr: &Expr) -> Result<i64> {
        let mut statement = statement::constant(&format!("CAST({expr} AS TIMESTAMP(3))"))?;
        as_planned(&mut statement)?;
        let answered = async { execute(&self.session(&[])?, statement).await };
        let answer = answered.await.map_err(|error| diagnosis::of(error, &[]))?;
        let value = answer.batches.first().filter(|batch| batch.num_rows() == 1).map(|batch| batch.column(0).clone());
        let value = value.filter(|value| value.is_valid(0));
        let value = value.and_then(|value| Some(value.as_primitive_opt::<TimestampMillisecondType>()?.value(0)));
        value.ok_or_else(|| Error::new(MEANING, format!("{expr} is no point in time")))
    }

    /// `generate_series(1, 9)` stands where a table does.
    fn is_function(&self, reference: &TableReference) -> bool {
        reference.schema().is_none() && self.state.table_functions().contains_key(reference.table())
    }

    /// A session that knows these tables and no others, at this moment in time.
    fn session(&self, named: &[Named]) -> Result<SessionState, DataFusionError> {
        let mut schemas: HashMap<(&str, &str), MemorySchemaProvider> = HashMap::new();
        schemas.entry((CATALOG, SCHEMA)).or_default();
        for Named { reference, seen, .. } in named {
            let names = (reference.catalog().unwrap_or(CATALOG), reference.schema().unwrap_or(SCHEMA));
            schemas.entry(names).or_default().register_table(reference.table().to_owned(), seen.clone())?;
        }
        let catalogs = MemoryCatalogProviderList::new();
        for ((catalog, name), schema) in schemas {
            let known = catalogs.catalog(catalog).unwrap_or_else(|| Arc::new(MemoryCatalogProvider::new()));
            known.register_schema(name, Arc::new(schema))?;
            catalogs.register_catalog(catalog.to_owned(), known);
        }

        let builder = SessionStateBuilder::new_from_existing(self.state.clone());
        let mut state = builder.with_catalog_list(Arc::new(catalogs)).build();
        state.mark_start_execution();
        // `now()` and CURRENT_DATE, in UTC.
        state.execution_props_mut().query_execution_start_time = Some(self.ambient.now().into());
        Ok(state)
    }
}

/// Ours stands before the coercion of types, which then goes by the types it settles.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    let coercion = rules.iter().position(|rule| rule.name() == "type_coercion").unwrap_or(0);
    rules.insert(coercion, Arc::new(AsAthena));
    rules
}

/// Without the two that move struct fields below an UNNEST, where the struct is still a list.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let moves_fields = |name: &str| ["extract_leaf_expressions", "push_down_leaf_projections"].contains(&name);
    Optimizer::new().rules.into_iter().filter(|rule| !moves_fields(rule.name())).collect()
}

/// Says `statement` in words that the planner knows.
fn as_planned(statement: &mut Statement) -> Result<()> {
    outside::check(statement)?;
    column_names::complete(statement);
    unnest::gather(statement);
    functions::rewrite(statement)
}

/// A table named twice, as `t` and as `ns.t`, was loaded twice; it is to be at one snapshot all the same.
fn agree_on_snapshots(named: &mut [Named]) {
    let mut known: HashMap<(Uuid, TableIdent), LakeTable> = HashMap::new();
    for Named { tables, table, seen, .. } in named.iter_mut().filter(|named| named.is_now) {
        let key = (table.table().metadata().uuid(), table.table().identifier().clone());
        *table = known.entry(key).or_insert_with(|| table.clone()).clone();
        *seen = tables.see(table);
    }
}

/// `reference` with another table's name.
fn with_name(reference: &TableReference, name: &str) -> TableReference {
    match (reference.catalog(), reference.schema()) {
        (Some(catalog), Some(schema)) => TableReference::full(catalog, schema, name),
        (_, Some(schema)) => TableReference::partial(schema, name),
        _ => TableReference::bare(name),
    }
}

async fn execute(state: &SessionState, statement: Statement) -> Result<Answer, DataFusionError> {
    let plan = plan(state, statement).await?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(&plan)?;
    let plan = state.create_physical_plan(&plan).await?;
    let schema = column_names::shown(&plan.schema());
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
