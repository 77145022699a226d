//! The tables that a query names, each in the state and the guise that the query asks for.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMillisecondType;
use datafusion::catalog::TableProvider;
use datafusion::sql::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use iceberg::TableIdent;
use lake::{LakeTable, RowEdits};
use uuid::Uuid;

use crate::catalogs::{Context, DEFAULT_CATALOG};
use crate::diagnosis::{self, Known};
use crate::engine::{Engine, as_planned};
use crate::error::{Error, MEANING, Result};
use crate::rows::Rows;
use crate::time_travel::{self, Version, Versions};
use crate::visible::{SeenCatalogs, SeenTables, Sight};
use crate::{information_schema, metadata_table, session, statement, tables};

/// A table of a query, under the name that the query gives it.
pub(crate) struct Named {
    pub reference: TableReference,
    /// What the query sees of it.
    pub seen: Arc<dyn TableProvider>,
    /// The lake's table behind it; `None` where a catalog tells of itself.
    pub read: Option<Read>,
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
        Named { reference: TableReference::bare(EDITED), seen: self.edits.positioned(), read: Some(read) }
    }
}

impl Named {
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

    pub(crate) async fn load(
        &self,
        context: &Context,
        sight: &Sight,
        reference: &TableReference,
    ) -> Result<(SeenTables, LakeTable)> {
        let tables = self.tables(context, sight, reference.catalog(), Some(reference)).await?;
        let table = tables::load(&tables, &self.cache, self.default_database(context, reference), reference).await?;
        Ok((tables, table))
    }

    pub(crate) async fn load_named(
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
    pub(crate) async fn named(
        &self,
        context: &Context,
        sight: &Sight,
        versions: &Versions,
        reference: TableReference,
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
        Ok(Named { reference, seen, read: Some(Read { tables, table, is_now }) })
    }

    /// A table of the information schema of a catalog.
    async fn information(&self, context: &Context, sight: &Sight, reference: TableReference) -> Result<Named> {
        let tables = self.tables(context, sight, reference.catalog(), Some(&reference)).await?;
        let catalog = reference.catalog().unwrap_or_else(|| self.default_catalog(context)).to_lowercase();
        let seen = information_schema::read(&tables, &self.cache, &catalog, reference.table()).await?;
        Ok(Named { reference, seen, read: None })
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
    let key = |table: &LakeTable| {
        let metadata = table.table().metadata();
        (metadata.uuid(), metadata.location().to_owned())
    };
    let mut known: HashMap<(Uuid, String), LakeTable> =
        edited.map(|table| (key(table), table.clone())).into_iter().collect();
    for Named { seen, read, .. } in named {
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
