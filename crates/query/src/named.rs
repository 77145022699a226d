//! The tables that a query names, each in the state and the guise that the query asks for.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Schema, SchemaRef, TimestampMillisecondType};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use futures::future::{BoxFuture, try_join_all};
use iceberg::TableIdent;
use lake::{LakeTable, RowEdits};
use uuid::Uuid;

use crate::answer::TableRead;
use crate::catalogs::{Context, DEFAULT_CATALOG};
use crate::diagnosis::{self, Known};
use crate::engine::{Engine, as_planned};
use crate::error::{Error, MEANING, REFUSED, Result};
use crate::external::hive_column;
use crate::own_tables::Other;
use crate::rows::Rows;
use crate::tables::Found;
use crate::time_travel::{self, Version, Versions};
use crate::views::{self, ViewBody};
use crate::visible::{SeenCatalogs, SeenTables, Sight};
use crate::{information_schema, metadata_table, session, statement, tables};

/// A table of a query, under the name that the query gives it.
pub(crate) struct Named {
    pub reference: TableReference,
    /// What the query sees of it.
    pub seen: Arc<dyn TableProvider>,
    /// The lake's table behind it; `None` where there is none.
    pub read: Option<Read>,
    /// What could be seen of a table that is not the lake's.
    pub other: Option<TableRead>,
    /// What a view stands for; until it is planned, nothing is seen.
    pub view: Option<ViewBody>,
}

pub(crate) struct Read {
    /// Where it was found.
    pub tables: SeenTables,
    pub table: LakeTable,
    /// Not at a version, and not its metadata.
    is_now: bool,
}

/// A table whose rows are being edited.
pub(crate) struct Edited<'a> {
    pub edits: &'a RowEdits,
    /// What it is called where it was found.
    pub ident: TableIdent,
    pub found_in: SeenTables,
}

/// What a query calls the table that is being edited.
pub(crate) const EDITED: &str = "$edited";

impl Edited<'_> {
    /// The table with the places of its rows.
    pub fn named(self) -> Named {
        let table = self.edits.table().named(self.ident);
        let read = Read { tables: self.found_in, table, is_now: true };
        Named {
            reference: TableReference::bare(EDITED),
            seen: self.edits.positioned(),
            read: Some(read),
            other: None,
            view: None,
        }
    }
}

impl Named {
    /// The tables that it stands for, with those of views.
    pub fn reads(&self) -> Vec<TableRead> {
        let own = self.read.as_ref().map(|read| TableRead::of(&read.table, &read.tables));
        let inner = self.view.iter().flat_map(|view| &view.tables).flat_map(Named::reads);
        own.into_iter().chain(self.other.clone()).chain(inner).collect()
    }

    pub fn known(&self) -> Known {
        let name = match &self.read {
            Some(read) => read.table.table().identifier().to_string(),
            None => self.reference.to_string(),
        };
        Known { name, schema: self.seen.schema() }
    }
}

impl Engine {
    /// The tables of the catalog that is named, or of the default one.
    pub(crate) async fn tables(
        &self,
        context: &Context,
        sight: &Sight,
        catalog: Option<&str>,
        reference: Option<&TableReference>,
    ) -> Result<SeenTables> {
        let name = catalog.unwrap_or_else(|| self.default_catalog(context));
        let seen = SeenCatalogs { catalogs: self.catalogs.as_ref(), own_names: &self.own_names, sight };
        tables::catalog(&seen, name, reference).await
    }

    pub(crate) fn default_catalog<'a>(&'a self, context: &'a Context) -> &'a str {
        context.catalog.as_deref().or(self.options.default_catalog.as_deref()).unwrap_or(DEFAULT_CATALOG)
    }

    /// The database of names that give none. It lies in the default catalog.
    pub(crate) fn default_database<'a>(&'a self, context: &'a Context, reference: &TableReference) -> Option<&'a str> {
        let default = context.database.as_deref().or(self.options.default_namespace.as_deref());
        default.filter(|_| reference.catalog().is_none())
    }

    pub(crate) async fn find(
        &self,
        context: &Context,
        sight: &Sight,
        reference: &TableReference,
    ) -> Result<(SeenTables, Found)> {
        let tables = self.tables(context, sight, reference.catalog(), Some(reference)).await?;
        let found = tables::load(&tables, &self.cache, self.default_database(context, reference), reference).await?;
        Ok((tables, found))
    }

    /// A table of the lake.
    pub(crate) async fn load(
        &self,
        context: &Context,
        sight: &Sight,
        reference: &TableReference,
    ) -> Result<(SeenTables, LakeTable)> {
        match self.find(context, sight, reference).await? {
            (tables, Found::Lake(table)) => Ok((tables, table)),
            (_, Found::Other(_)) => {
                let error = Error::new(REFUSED, format!("{reference} is no Iceberg table, and this takes one"));
                Err(error.with_help("a table of \"s3tablescatalog/BUCKET\""))
            }
        }
    }

    pub(crate) async fn find_named(
        &self,
        context: &Context,
        sight: &Sight,
        name: ObjectName,
    ) -> Result<(TableReference, SeenTables, Found)> {
        let reference = object_name_to_table_reference(name, true);
        let reference = reference.map_err(|error| diagnosis::of(error, &[]))?;
        let (tables, found) = self.find(context, sight, &reference).await?;
        Ok((reference, tables, found))
    }

    /// Everything that a query names, ready to be planned but for its views. `depth` counts the views around it.
    pub(crate) fn name_all<'a>(
        &'a self,
        context: &'a Context,
        sight: &'a Sight,
        statement: &'a mut Statement,
        depth: usize,
    ) -> BoxFuture<'a, Result<Vec<Named>>> {
        Box::pin(async move {
            let versions = Versions::take(statement)?;
            as_planned(statement)?;
            let references = self.state.resolve_table_references(statement);
            let references = references.map_err(|error| diagnosis::of(error, &[]))?;
            let tables = references.into_iter().filter(|name| !self.is_function(name) && name.table() != EDITED);
            try_join_all(tables.map(|reference| self.named(context, sight, &versions, reference, depth))).await
        })
    }

    /// The table behind a name, at the version and in the guise that the name asks for.
    pub(crate) async fn named(
        &self,
        context: &Context,
        sight: &Sight,
        versions: &Versions,
        reference: TableReference,
        depth: usize,
    ) -> Result<Named> {
        let database = reference.schema().or(self.default_database(context, &reference));
        if database.is_some_and(information_schema::is_meant) {
            return self.information(context, sight, reference).await;
        }
        let (name, version) = match versions.of(reference.table()) {
            Some((name, version)) => (name.as_str(), Some(version)),
            None => (reference.table(), None),
        };
        let full_name = with_name(&reference, name);
        let (name, kind) = match metadata_table::split(name) {
            Some((name, kind)) => (name, Some(kind)),
            None => (name, None),
        };
        let (tables, found) = self.find(context, sight, &with_name(&reference, name)).await?;
        let now = match found {
            Found::Lake(table) => table,
            Found::Other(other) if version.is_none() && kind.is_none() => {
                return self.named_other(sight, tables, reference, other, depth).await;
            }
            Found::Other(_) => {
                let error = Error::new(MEANING, format!("{reference} has no versions and no metadata tables"));
                return Err(error.with_help("an Iceberg table"));
            }
        };
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
        Ok(Named { reference, seen, read: Some(Read { tables, table, is_now }), other: None, view: None })
    }

    /// An external table, or a view with all that it names.
    async fn named_other(
        &self,
        sight: &Sight,
        tables: SeenTables,
        reference: TableReference,
        other: Other,
        depth: usize,
    ) -> Result<Named> {
        let read = |database: &str, name: &str, schema: &SchemaRef| TableRead {
            catalog: tables.catalog().map(str::to_owned),
            name: format!("{database}.{name}"),
            snapshot: None,
            visible: tables.visible_of(database, name, schema),
        };
        match other {
            Other::External(table) => {
                let (database, name) = (table.database.clone(), table.name.clone());
                let other = Some(read(&database, &name, &table.schema()));
                let seen = tables.see_other(&database, &name, Arc::new(table));
                Ok(Named { reference, seen, read: None, other, view: None })
            }
            Other::View(view) => {
                if depth >= views::DEPTH_MAX {
                    let message = format!("views are nested more than {} deep at {reference}", views::DEPTH_MAX);
                    return Err(Error::new(MEANING, message).with_help("a view that does not name itself"));
                }
                let mut statement = statement::query_of(&view.sql)?;
                let (catalog, database) = (view.in_catalog.clone(), view.in_database.clone());
                let context = Context { catalog, database, ..Context::default() };
                let named = self.name_all(&context, sight, &mut statement, depth + 1).await?;
                let columns = view.columns.iter().filter_map(|(name, of)| hive_column(name, of, None));
                let schema: SchemaRef = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
                let other = Some(read(&view.database, &view.name, &schema));
                let body = ViewBody {
                    statement,
                    sql: view.sql,
                    tables: named,
                    found_in: tables,
                    database: view.database,
                    name: view.name,
                };
                Ok(Named { reference, seen: Arc::new(EmptyTable::new(schema)), read: None, other, view: Some(body) })
            }
        }
    }

    /// A table of the information schema of a catalog.
    async fn information(&self, context: &Context, sight: &Sight, reference: TableReference) -> Result<Named> {
        let tables = self.tables(context, sight, reference.catalog(), Some(&reference)).await?;
        let catalog = reference.catalog().unwrap_or_else(|| self.default_catalog(context)).to_lowercase();
        let seen = information_schema::read(&tables, &self.cache, &catalog, reference.table()).await?;
        Ok(Named { reference, seen, read: None, other: None, view: None })
    }

    /// What an expression without columns comes to, as a time in milliseconds since 1970.
    async fn time_ms(&self, expr: &Expr) -> Result<i64> {
        let mut statement = statement::constant(&format!("CAST({expr} AS TIMESTAMP(3))"))?;
        as_planned(&mut statement)?;
        let state = session::over(&self.state, &[], &self.ambient).map_err(|error| diagnosis::of(error, &[]))?;
        let rows = Rows::start(&state, statement).await.map_err(|error| diagnosis::of(error, &[]))?;
        let answer = rows.collect().await?;
        let value = answer.batches.first().filter(|batch| batch.num_rows() == 1).map(|batch| batch.column(0).clone());
        let value = value.filter(|value| value.is_valid(0));
        let value = value.and_then(|value| Some(value.as_primitive_opt::<TimestampMillisecondType>()?.value(0)));
        value.ok_or_else(|| Error::new(MEANING, format!("{expr} is no point in time")))
    }
}

/// A table named twice, as `t`, as `ns.t` or through a link, was loaded twice; it is to be at one snapshot all the same.
pub(crate) fn agree_on_snapshots(named: &mut [Named], edited: Option<&LakeTable>) {
    agree(named, &mut edited.map(|table| (key(table), table.clone())).into_iter().collect());
}

fn key(table: &LakeTable) -> (Uuid, String) {
    let metadata = table.table().metadata();
    (metadata.uuid(), metadata.location().to_owned())
}

fn agree(named: &mut [Named], known: &mut HashMap<(Uuid, String), LakeTable>) {
    for Named { seen, read, view, .. } in named {
        if let Some(view) = view {
            agree(&mut view.tables, known);
        }
        let Some(Read { tables, table, .. }) = read.as_mut().filter(|read| read.is_now) else { continue };
        let first = known.entry(key(table)).or_insert_with(|| table.clone());
        // What may be seen of it goes by the name that it was found under.
        *table = first.named(table.table().identifier().clone());
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
