//! DataFusion, set up to answer as Athena does.

use std::collections::HashMap;
use std::sync::Arc;

use ambient::Ambient;
use datafusion::catalog::{CatalogProviderList, SchemaProvider};
use datafusion::catalog::{MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::error::Result;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::prelude::SessionConfig;

use crate::arithmetic::{AsAthena, Operators};
use crate::compact::CompactBeforeTopK;
use crate::functions;
use crate::memory::Memory;
use crate::named::Named;
use crate::portions::InPortions;
use crate::text_keys::TextKeys;
use crate::type_planner::AthenaTypes;
use crate::unnest::Unnesting;

/// What DataFusion calls the place where a name without a catalog or namespace is looked up.
const CATALOG: &str = "lake";
const SCHEMA: &str = "default";

/// Of how many sorts at once, each on one thread, the limit should be enough for the merges.
const SORTS_AT_ONCE: usize = 64;

/// What all queries of an engine have in common.
pub(crate) fn base(target_partitions: Option<usize>, memory: &Memory) -> Result<SessionState> {
    let mut config = SessionConfig::new().with_default_catalog_and_schema(CATALOG, SCHEMA);
    if let Some(target_partitions) = target_partitions {
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
    // The logical plan knows that `CASE WHEN x > 3 THEN x ELSE 2 END` is never NULL, the physical one does not.
    settings.execution.skip_physical_aggregate_schema_check = true;
    // What each sort keeps back for its merge is a small part of what all may hold.
    let back = &mut settings.execution.sort_spill_reservation_bytes;
    *back = memory.bytes_max.map_or(*back, |bytes_max| (bytes_max / SORTS_AT_ONCE).min(*back));
    let builder = SessionStateBuilder::new_with_default_features().with_config(config);
    let builder = builder
        .with_runtime_env(memory.runtime.clone())
        .with_type_planner(Arc::new(AthenaTypes))
        .with_analyzer_rules(analyzer_rules())
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rule(Arc::new(InPortions))
        .with_physical_optimizer_rule(Arc::new(CompactBeforeTopK));
    let mut state = builder.build();
    functions::register(&mut state)?;
    state.register_relation_planner(Arc::new(Unnesting))?;
    // Of several planners the first that can decides.
    let theirs = state.expr_planners().to_vec();
    let planners = std::iter::once(Arc::new(Operators) as Arc<dyn ExprPlanner>).chain(theirs).collect();
    Ok(SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build())
}

/// A session that knows these tables and no others, at this moment in time.
pub(crate) fn over(base: &SessionState, named: &[Named], ambient: &Ambient) -> Result<SessionState> {
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

    let builder = SessionStateBuilder::new_from_existing(base.clone());
    let mut state = builder.with_catalog_list(Arc::new(catalogs)).build();
    state.mark_start_execution();
    // `now()` and CURRENT_DATE, in UTC.
    state.execution_props_mut().query_execution_start_time = Some(ambient.now().into());
    Ok(state)
}

/// Ours stands before the coercion of types, which then goes by the types it settles.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    let coercion = rules.iter().position(|rule| rule.name() == "type_coercion").unwrap_or(0);
    rules.insert(coercion, Arc::new(AsAthena));
    rules
}

/// Without the two that move struct fields below an UNNEST, where the struct is still a list. Ours comes last: by then
/// every DISTINCT is a GROUP BY.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let moves_fields = |name: &str| ["extract_leaf_expressions", "push_down_leaf_projections"].contains(&name);
    let theirs = Optimizer::new().rules.into_iter().filter(|rule| !moves_fields(rule.name()));
    theirs.chain([Arc::new(TextKeys) as Arc<dyn OptimizerRule + Send + Sync>]).collect()
}
