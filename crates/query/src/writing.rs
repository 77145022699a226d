//! Statements that change tables: what they ask for, and how it is done.
//!
//! `ddl` reads them, `database` makes and removes databases, `definition` makes schemas of what is defined, `assignment` says which values a column takes,
//! `row_changes` what DELETE, UPDATE and MERGE do, and `edit` does it; `own` is for what a catalog keeps beside the lake. What may be changed the [`Sight`] decides, before it is looked up.

mod assignment;
pub(crate) mod database;
mod ddl;
mod definition;
mod edit;
mod own;
pub(crate) mod row_changes;
mod upkeep;

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use iceberg::{NamespaceIdent, TableIdent};
use lake::{Appender, Catalog, ErrorKind, SchemaChange, TableCreation};

use crate::answer::{Answer, TableRead, Wrote};
use crate::catalogs::Context;
use crate::diagnosis;
use crate::engine::Engine;
use crate::error::{DENIED, Error, MEANING, NO_SUCH_TABLE, READ_ONLY, REFUSED, Result, UNREADABLE};
use crate::external::{ExternalDefinition, NewPartition};
use crate::own_tables::OwnTables;
use crate::rows::Rows;
use crate::tables::{self, Tables};
use crate::visible::{SeenCatalogs, Sight, Write};
use crate::writing::assignment::Assignment;
pub(crate) use crate::writing::ddl::read;
use crate::writing::definition::Definition;
use crate::writing::row_changes::RowChanges;

/// A change of a table.
pub(crate) struct Writing {
    pub table: ObjectName,
    pub act: Act,
}

pub(crate) enum Act {
    Create {
        definition: Definition,
        if_not_exists: bool,
    },
    CreateAs {
        definition: Definition,
        if_not_exists: bool,
        query: Box<Statement>,
        with_data: bool,
    },
    /// Without columns, all of them in the table's order.
    Insert {
        columns: Vec<String>,
        query: Box<Statement>,
    },
    /// DELETE, UPDATE or MERGE.
    ChangeRows(Box<Statement>),
    Drop {
        if_exists: bool,
    },
    CreateExternal {
        definition: Box<ExternalDefinition>,
        if_not_exists: bool,
    },
    AddPartitions {
        partitions: Vec<NewPartition>,
        if_not_exists: bool,
    },
    /// By partition column, in lower case.
    DropPartitions {
        values: Vec<Vec<(String, String)>>,
        if_exists: bool,
    },
    /// MSCK REPAIR TABLE.
    Repair,
    CreateView {
        /// As it was written.
        sql: String,
        query: Box<Statement>,
        or_replace: bool,
    },
    DropView {
        if_exists: bool,
    },
    /// Compaction, of files that may hold rows for the condition.
    Optimize {
        selection: Option<Box<Expr>>,
    },
    Vacuum,
    Alter(Vec<SchemaChange>),
    SetProperties(Vec<(String, String)>),
}

impl Writing {
    /// The query whose rows it takes.
    pub fn query_mut(&mut self) -> Option<&mut Statement> {
        match &mut self.act {
            Act::CreateAs { query, .. } | Act::Insert { query, .. } | Act::ChangeRows(query) => Some(query),
            _ => None,
        }
    }

    fn rights(&self) -> Result<Vec<Write>> {
        Ok(match &self.act {
            Act::Create { .. } | Act::CreateAs { .. } | Act::CreateExternal { .. } | Act::CreateView { .. } => {
                vec![Write::CreateTable]
            }
            Act::Insert { .. } => vec![Write::Insert],
            Act::ChangeRows(statement) => RowChanges::of(statement.as_ref().clone())?.rights(),
            Act::Drop { .. } | Act::DropView { .. } => vec![Write::Drop],
            Act::Optimize { .. } | Act::Vacuum => vec![Write::Delete, Write::Insert],
            Act::Alter(_)
            | Act::SetProperties(_)
            | Act::AddPartitions { .. }
            | Act::DropPartitions { .. }
            | Act::Repair => vec![Write::Alter],
        })
    }
}

/// What a statement has done.
#[derive(Default)]
struct Done {
    /// Rows that were written; `None` where there was nothing to count.
    rows: Option<u64>,
    /// What it has read for that.
    read: Vec<TableRead>,
    bytes_read: u64,
    /// Files of an external table that it has written.
    files: Option<Vec<String>>,
}

impl Done {
    /// `rows` are those that it read, to the last.
    fn of(count: Option<u64>, rows: &Rows) -> Self {
        Self { rows: count, read: rows.tables().to_vec(), bytes_read: rows.meter().bytes_read(), files: None }
    }
}

/// A table to change, where its catalog has it.
struct Target {
    catalog: Catalog,
    ident: TableIdent,
    wrote: Wrote,
}

/// What a statement changes.
enum Place {
    Lake(Target),
    /// A name of a database that the catalog keeps itself.
    Own(Arc<dyn OwnTables>, Wrote),
}

impl Engine {
    /// Carries out a change. What it reads is limited by `sight` as any query is.
    pub(crate) async fn write(&self, context: &Context, sight: &Sight, writing: Writing) -> Result<Answer> {
        let rights = writing.rights()?;
        let (place, reference) = self.place(context, sight, writing.table, rights).await?;
        match place {
            Place::Own(own, mut wrote) => {
                let done = self.write_own(context, sight, own::Place { own, wrote: &wrote }, writing.act).await?;
                wrote.rows = done.rows;
                Ok(told(wrote, done))
            }
            Place::Lake(mut target) => {
                let done = self.write_lake(context, sight, (&target, &reference), writing.act).await?;
                target.wrote.rows = done.rows;
                Ok(told(target.wrote, done))
            }
        }
    }

    /// Changes a table of the lake.
    async fn write_lake(
        &self,
        context: &Context,
        sight: &Sight,
        (target, reference): (&Target, &TableReference),
        act: Act,
    ) -> Result<Done> {
        Ok(match act {
            Act::Create { definition, if_not_exists } => {
                create(target, &definition, if_not_exists).await?;
                Done::default()
            }
            Act::CreateAs { definition, if_not_exists, query, with_data } => {
                if if_not_exists && target.catalog.table_exists(&target.ident).await.map_err(failed)? {
                    Done { rows: Some(0), ..Done::default() }
                } else {
                    let rows = self.run(context, sight, *query).await?;
                    create_as(target, definition, rows, with_data).await?
                }
            }
            Act::Insert { columns, query } => {
                let appender = Appender::open(&target.catalog, &target.ident).await.map_err(failed)?;
                let rows = self.run(context, sight, *query).await?;
                insert(appender, &columns, rows).await?
            }
            Act::ChangeRows(statement) => self.change_rows(context, sight, (target, reference), *statement).await?,
            Act::Drop { if_exists } => {
                drop_table(target, if_exists).await?;
                Done::default()
            }
            Act::Alter(changes) => {
                target.refuse_pipelines().await?;
                lake::change_schema(&target.catalog, &target.ident, &changes).await.map_err(failed)?;
                Done::default()
            }
            Act::SetProperties(properties) => {
                target.refuse_pipelines().await?;
                let properties = definition::table_properties(&properties)?;
                lake::set_properties(&target.catalog, &target.ident, properties).await.map_err(failed)?;
                Done::default()
            }
            Act::Optimize { selection } => self.optimize(target, selection.as_deref()).await?,
            Act::Vacuum => self.vacuum(target).await?,
            Act::CreateExternal { .. }
            | Act::AddPartitions { .. }
            | Act::DropPartitions { .. }
            | Act::Repair
            | Act::CreateView { .. }
            | Act::DropView { .. } => {
                let message = format!("{reference} is in a table bucket, which holds Iceberg tables and nothing else");
                return Err(
                    Error::new(REFUSED, message).with_help("a database of AwsDataCatalog that is no resource link")
                );
            }
        })
    }

    /// Finds the table that a statement changes, for somebody who may.
    async fn place(
        &self,
        context: &Context,
        sight: &Sight,
        name: ObjectName,
        rights: Vec<Write>,
    ) -> Result<(Place, TableReference)> {
        let reference = object_name_to_table_reference(name, true).map_err(|error| diagnosis::of(error, &[]))?;
        let Some(database) = reference.schema().or(self.default_database(context, &reference)) else {
            let error = Error::new(MEANING, format!("{reference} names no database"));
            return Err(error.with_help(format!("database.{}", reference.table())));
        };
        let (database, name) = (database.to_lowercase(), reference.table().to_lowercase());
        let catalog = reference.catalog().unwrap_or_else(|| self.default_catalog(context));
        let is_own = self.own_names.iter().any(|own| own.eq_ignore_ascii_case(catalog));
        let known_as = (!is_own).then_some(catalog);
        let denied = rights.iter().find(|right| !sight.allows(**right, known_as, &database, &name));
        if let Some(right) = denied {
            let message = format!("not allowed to {right} {database}.{name}");
            return Err(Error::new(DENIED, message).with_help("ask for a grant in Lake Formation"));
        }
        let everything = Sight::everything();
        let catalogs =
            SeenCatalogs { catalogs: self.catalogs.as_ref(), own_names: &self.own_names, sight: &everything };
        let tables = tables::catalog(&catalogs, catalog, Some(&reference)).await?;
        let ident = TableIdent::new(NamespaceIdent::new(database.clone()), name.clone());
        let wrote =
            Wrote { rights, catalog: known_as.map(str::to_owned), database, table: name, rows: None, files: None };
        match tables.writable(&ident).await.map_err(tables::unreadable)? {
            Some((catalog, ident)) => Ok((Place::Lake(Target { catalog, ident, wrote }), reference)),
            None => match tables.own(ident.namespace()) {
                Some(own) => Ok((Place::Own(own, wrote), reference)),
                None => Err(read_only(&reference)),
            },
        }
    }
}

impl Target {
    /// What a pipeline writes, its file defines.
    async fn refuse_pipelines(&self) -> Result<()> {
        let table = self.catalog.load_table(&self.ident).await.map_err(failed)?;
        match lake::pipeline_of(&table).map_err(failed)? {
            None => Ok(()),
            Some(pipeline) => {
                let message = format!("pipeline {pipeline} writes {}: SQL does not change it", self.ident);
                Err(Error::new(REFUSED, message).with_help("change the pipeline file"))
            }
        }
    }
}

async fn create(target: &Target, definition: &Definition, if_not_exists: bool) -> Result<()> {
    let namespace = target.ident.namespace();
    if if_not_exists && target.catalog.table_exists(&target.ident).await.map_err(failed)? {
        return Ok(());
    }
    let creation: TableCreation = definition.creation(target.ident.name())?;
    match target.catalog.create_table(namespace, creation).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let error = Error::new(NO_SUCH_TABLE, format!("no database named {}", namespace.to_url_string()));
            Err(error.with_help("SHOW DATABASES"))
        }
        created => created.map(|_| ()).map_err(failed),
    }
}

/// The table is there as soon as the query has begun; it goes again where the query fails.
async fn create_as(target: &Target, mut definition: Definition, rows: Rows, with_data: bool) -> Result<Done> {
    definition.columns = definition::columns_of(rows.schema())?;
    create(target, &definition, false).await?;
    let mut unfinished = Unfinished { catalog: target.catalog.clone(), table: Some(target.ident.clone()) };
    if !with_data {
        unfinished.table = None;
        return Ok(Done { rows: Some(0), ..Done::default() });
    }
    let filled = async {
        let appender = Appender::open(&target.catalog, &target.ident).await.map_err(failed)?;
        insert(appender, &[], rows).await
    };
    let filled = filled.await;
    unfinished.table = None;
    if filled.is_err()
        && let Err(error) = target.catalog.drop_table(&target.ident).await
    {
        return Err(failed(error));
    }
    filled
}

/// A table that is being filled. Where that is stopped, it goes again.
struct Unfinished {
    catalog: Catalog,
    table: Option<TableIdent>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(table), Ok(runtime)) = (self.table.take(), tokio::runtime::Handle::try_current()) else { return };
        let catalog = self.catalog.clone();
        runtime.spawn(async move {
            if let Err(error) = catalog.drop_table(&table).await {
                tracing::warn!(%table, %error, "a table whose query was stopped is still there");
            }
        });
    }
}

async fn insert(mut appender: Appender, columns: &[String], mut rows: Rows) -> Result<Done> {
    let assignment = Assignment::new(appender.schema(), columns, rows.schema())?;
    while let Some(batch) = rows.next().await {
        let written = async { appender.write(assignment.named(&batch?)).await.map_err(failed) };
        if let Err(error) = written.await {
            appender.abandon().await;
            return Err(error);
        }
    }
    let count = appender.commit().await.map_err(failed)?;
    Ok(Done::of(Some(count), &rows))
}

async fn drop_table(target: &Target, if_exists: bool) -> Result<()> {
    match target.refuse_pipelines().await {
        Err(error) if error.code() == NO_SUCH_TABLE && if_exists => return Ok(()),
        checked => checked?,
    }
    target.catalog.drop_table(&target.ident).await.map_err(failed)
}

fn read_only(reference: &TableReference) -> Error {
    Error::new(READ_ONLY, format!("{reference} cannot be changed: its catalog is read-only here"))
        .with_help("a table of \"s3tablescatalog/BUCKET\"")
}

/// What the lake said of a change.
fn failed(error: lake::Error) -> Error {
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let message = causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"));
    match error.kind() {
        ErrorKind::NotFound => Error::new(NO_SUCH_TABLE, message).with_help("SHOW TABLES"),
        ErrorKind::Refused | ErrorKind::Fenced => Error::new(REFUSED, message),
        ErrorKind::Transient | ErrorKind::Unexpected => Error::new(UNREADABLE, message).with_source(error),
    }
}

/// As Trino tells of it: how many rows were written, where rows were.
fn told(mut wrote: Wrote, done: Done) -> Answer {
    wrote.files = done.files;
    let fields = wrote.rows.map(|_| Field::new("rows", DataType::Int64, false));
    let schema = Arc::new(Schema::new(fields.into_iter().collect::<Vec<_>>()));
    let rows = wrote.rows.map(|rows| Int64Array::from(vec![rows as i64]));
    let batch = rows.map(|rows| RecordBatch::try_new(schema.clone(), vec![Arc::new(rows)]));
    let batches = batch.map(|batch| batch.expect("one column of one number")).into_iter().collect();
    Answer { schema, batches, bytes_read: done.bytes_read, tables: done.read, wrote: Some(wrote) }
}
