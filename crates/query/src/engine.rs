//! Takes a query from its text to its answer.

use std::sync::Arc;

use ambient::Ambient;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use lake::ScanCache;

use crate::answer::{Answer, TableRead};
use crate::catalogs::{Catalogs, Context, DEFAULT_CATALOG, OneCatalog};
use crate::diagnosis::{self, Known};
use crate::error::Result;
use crate::memory::Memory;
use crate::named::{Edited, Named, agree_on_snapshots};
use crate::read_limit::ReadLimit;
use crate::rows::Rows;
use crate::statement::{self, Parsed, Query};
use crate::tables::{self, Found, Tables};
use crate::visible::Sight;
use crate::{column_names, functions, listing, listing_other, metadata_table, outside, session, timestamps, unnest};

#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// The catalog of names that give none; `AwsDataCatalog` if `None`.
    pub default_catalog: Option<String>,
    /// Where a table is looked for first when a query names none.
    pub default_namespace: Option<String>,
    /// How many threads' worth of work a query is cut into; the number of cores if `None`.
    pub target_partitions: Option<usize>,
    /// What queries may hold; as much as they like if `None`.
    pub memory: Option<Memory>,
}

/// Answers queries over the tables of a catalog. Share one: it keeps manifests, deletes and footers between queries.
#[derive(Clone)]
pub struct Engine {
    pub(crate) catalogs: Arc<dyn Catalogs>,
    /// What the catalog goes by that names without one are looked up in.
    pub(crate) own_names: Vec<String>,
    pub(crate) ambient: Ambient,
    pub(crate) options: EngineOptions,
    pub(crate) cache: Arc<ScanCache>,
    pub(crate) state: SessionState,
    memory: Memory,
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
        let memory = options.memory.clone().unwrap_or_else(Memory::unlimited);
        let state = session::base(options.target_partitions, &memory).map_err(|error| diagnosis::of(error, &[]))?;
        let own_names = vec![options.default_catalog.clone().unwrap_or_else(|| DEFAULT_CATALOG.to_owned())];
        Ok(Self { catalogs: Arc::new(catalogs), own_names, ambient, options, cache: Arc::default(), state, memory })
    }

    /// The same engine over other catalogs. What it keeps is shared.
    pub fn with_catalogs(&self, catalogs: impl Catalogs + 'static) -> Self {
        Self { catalogs: Arc::new(catalogs), ..self.clone() }
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
        self.start(context, query, sight).await?.collect().await
    }

    /// Begins to answer a statement whose names mean what `context` says, for somebody who sees only what `sight` lets
    /// through.
    pub async fn start(&self, context: &Context, query: Query, sight: &Sight) -> Result<Rows> {
        match query.0 {
            Parsed::Query(statement) | Parsed::Export(statement, _) => self.run(context, sight, *statement).await,
            Parsed::Write(writing) => self.write(context, sight, *writing).await.map(Rows::from),
            Parsed::Database(change) => self.change_database(context, sight, change).await.map(Rows::from),
            listing => self.list(context, sight, listing).await.map(Rows::from),
        }
    }

    pub(crate) async fn run(&self, context: &Context, sight: &Sight, statement: Statement) -> Result<Rows> {
        self.run_beside(context, sight, statement, None).await
    }

    /// Begins to answer a query that may name a table which is being edited.
    pub(crate) async fn run_beside(
        &self,
        context: &Context,
        sight: &Sight,
        mut statement: Statement,
        edited: Option<Edited<'_>>,
    ) -> Result<Rows> {
        let mut named = self.name_all(context, sight, &mut statement, 0).await?;
        agree_on_snapshots(&mut named, edited.as_ref().map(|edited| edited.edits.table()));
        self.plan_views(&mut named).await?;
        named.extend(edited.map(Edited::named));

        let known: Vec<Known> = named.iter().map(Named::known).collect();
        let started = async {
            let state = session::over(&self.state, &named, &self.ambient)?;
            Rows::start(&state, statement).await
        };
        let rows = started.await.map_err(|error| functions::suggest(diagnosis::of(error, &known), &self.state))?;
        let mut tables: Vec<TableRead> = named.iter().flat_map(Named::reads).collect();
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        tables.dedup();
        Ok(rows.of(tables, known, &self.memory).within(ReadLimit(context.bytes_read_max)))
    }

    /// What metadata alone answers.
    async fn list(&self, context: &Context, sight: &Sight, listing: Parsed) -> Result<Answer> {
        match listing {
            Parsed::Query(_) | Parsed::Export(..) | Parsed::Write(_) | Parsed::Database(_) => unreachable!("they run"),
            Parsed::ShowNamespaces { catalog, like } => {
                let tables = self.tables(context, sight, catalog.as_deref(), None).await?;
                listing::namespaces(&tables, like.as_deref()).await
            }
            Parsed::ShowTables { catalog, namespace, like } => {
                let namespace = namespace.or_else(|| context.database.clone());
                let tables = self.tables(context, sight, catalog.as_deref(), None).await?;
                listing::list_tables(&tables, namespace.as_deref(), like.as_deref()).await
            }
            Parsed::Describe(name) => match self.find_named(context, sight, name).await? {
                (_, tables, Found::Lake(table)) => Ok(listing::describe(&table, &tables)),
                (_, tables, Found::Other(other)) => Ok(listing_other::describe(&other, &tables)),
            },
            Parsed::ShowCreate(name) => match self.find_named(context, sight, name).await? {
                (_, tables, Found::Lake(table)) => Ok(listing::create(&table, &tables.visible(&table))),
                (_, tables, Found::Other(other)) => listing_other::create(&other, &tables),
            },
            Parsed::ShowProperties(name) => match self.find_named(context, sight, name).await? {
                (_, tables, Found::Lake(table)) => Ok(listing::properties(&table, &tables.visible(&table))),
                (_, _, Found::Other(other)) => Ok(listing_other::properties(&other)),
            },
            Parsed::ShowViews { catalog, namespace, like } => {
                let namespace = namespace.or_else(|| context.database.clone());
                let tables = self.tables(context, sight, catalog.as_deref(), None).await?;
                listing_other::views(&tables, &self.cache, namespace.as_deref(), like.as_deref()).await
            }
            Parsed::ShowPartitions(name) => {
                let (reference, tables, table) = match self.find_named(context, sight, name).await? {
                    (reference, tables, Found::Lake(table)) => (reference, tables, table),
                    (_, tables, Found::Other(other)) => return listing_other::partitions(&other, &tables),
                };
                let visible = tables.visible(&table);
                // A partition's values are those of its rows, whichever these are.
                if visible.row_filter.is_some() {
                    return Err(tables::not_found(&tables, &reference).await);
                }
                metadata_table::list_partitions(&table, &visible).await
            }
        }
    }

    /// `generate_series(1, 9)` stands where a table does.
    pub(crate) fn is_function(&self, reference: &TableReference) -> bool {
        reference.schema().is_none() && self.state.table_functions().contains_key(reference.table())
    }
}

/// Says `statement` in words that the planner knows.
pub(crate) fn as_planned(statement: &mut Statement) -> Result<()> {
    outside::check(statement)?;
    timestamps::agree_in_values(statement);
    column_names::complete(statement);
    unnest::gather(statement);
    functions::rewrite(statement)
}
