//! Statements about external tables and views, which the catalog keeps beside the lake's tables.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::catalog::TableProvider;
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use percent_encoding::percent_decode_str;

use crate::answer::Wrote;
use crate::catalogs::Context;
use crate::engine::Engine;
use crate::error::{EXECUTION, Error, MEANING, NO_SUCH_TABLE, REFUSED, Result};
use crate::export::{Export, Exported};
use crate::external::{ColumnDefinition, ExternalDefinition, ExternalTable, NewPartition, split_location};
use crate::own_tables::{Other, OwnTables, View};
use crate::type_name::type_name;
use crate::visible::Sight;
use crate::writing::assignment::Assignment;
use crate::writing::definition::Definition;
use crate::writing::{Act, Done, failed};

/// A name of a database that keeps tables of its own.
pub(super) struct Place<'a> {
    pub own: Arc<dyn OwnTables>,
    pub wrote: &'a Wrote,
}

impl Engine {
    pub(super) async fn write_own(&self, context: &Context, sight: &Sight, place: Place<'_>, act: Act) -> Result<Done> {
        match act {
            Act::CreateExternal { definition, if_not_exists } => {
                place.create(&definition, if_not_exists).await?;
                Ok(Done::default())
            }
            Act::CreateAs { definition, if_not_exists, query, with_data } => {
                if place.find().await?.is_some() {
                    return if if_not_exists { Ok(Done::default()) } else { Err(place.taken()) };
                }
                self.create_as(context, sight, &place, definition, *query, with_data).await
            }
            Act::Insert { columns, query } => {
                let table = place.external().await?;
                let rows = self.run(context, sight, *query).await?;
                place.insert(&table, &columns, rows, &self.ambient.uuid().to_string()).await
            }
            Act::CreateView { sql, query, or_replace } => {
                let columns = self.run(context, sight, *query).await?;
                let in_catalog = Some(self.default_catalog(context).to_owned());
                let in_database = context.database.clone().or_else(|| self.options.default_namespace.clone());
                place.create_view(columns.schema(), sql, (in_catalog, in_database), or_replace).await?;
                Ok(Done::default())
            }
            Act::Drop { if_exists } => place.drop(if_exists, false).await,
            Act::DropView { if_exists } => place.drop(if_exists, true).await,
            Act::AddPartitions { partitions, if_not_exists } => place.add_partitions(partitions, if_not_exists).await,
            Act::DropPartitions { values, if_exists } => place.drop_partitions(values, if_exists).await,
            Act::Repair => place.repair().await,
            Act::SetProperties(properties) => place.set_properties(properties).await,
            _ => Err(Error::new(
                REFUSED,
                format!("{} is in no table bucket, and this takes a table of one", place.name()),
            )
            .with_help("a table of \"s3tablescatalog/BUCKET\"")),
        }
    }

    /// Files first, then the table over them: it is there only when it is whole.
    async fn create_as(
        &self,
        context: &Context,
        sight: &Sight,
        place: &Place<'_>,
        definition: Definition,
        query: Statement,
        with_data: bool,
    ) -> Result<Done> {
        let default = place.own.default_location(&place.wrote.database, &place.wrote.table).await.map_err(failed)?;
        let (mut table, export) = definition.external(default)?;
        let mut rows = self.run(context, sight, query).await?;
        (table.columns, table.partition_columns) = columns(rows.schema(), &definition.partitioning)?;
        let access = place.own.access(&place.wrote.database, &place.wrote.table);
        let (bucket, prefix) = split_location(&table.location).map_err(failed)?;
        let store = access.open(bucket).map_err(failed)?;
        if store.list(Some(&prefix)).next().await.is_some() {
            let message = format!("HIVE_PATH_ALREADY_EXISTS: {} is not empty", table.location);
            return Err(Error::new(EXECUTION, message).with_help("a prefix of its own"));
        }
        let exported = match with_data {
            true => export.write(&mut rows, access.as_ref(), &self.ambient.uuid().to_string()).await?,
            false => Exported::default(),
        };
        if !place.own.create(&place.wrote.database, &place.wrote.table, &table).await.map_err(failed)? {
            return Err(place.taken());
        }
        let partitions = new_partitions(&definition.partitioning, &exported);
        place.own.add_partitions(&place.wrote.database, &place.wrote.table, partitions).await.map_err(failed)?;
        Ok(Done { files: Some(exported.files), ..Done::of(Some(exported.row_count), &rows) })
    }
}

impl Place<'_> {
    fn name(&self) -> String {
        format!("{}.{}", self.wrote.database, self.wrote.table)
    }

    async fn find(&self) -> Result<Option<Other>> {
        self.own.find(&self.wrote.database, &self.wrote.table).await.map_err(failed)
    }

    async fn external(&self) -> Result<ExternalTable> {
        match self.find().await? {
            Some(Other::External(table)) => Ok(table),
            Some(Other::View(_)) => Err(Error::new(REFUSED, format!("{} is a view", self.name()))),
            None => Err(self.missing()),
        }
    }

    fn missing(&self) -> Error {
        Error::new(NO_SUCH_TABLE, format!("no table named {}", self.name())).with_help("SHOW TABLES")
    }

    fn taken(&self) -> Error {
        Error::new(REFUSED, format!("{} exists already", self.name())).with_help("IF NOT EXISTS, or another name")
    }

    async fn create(&self, definition: &ExternalDefinition, if_not_exists: bool) -> Result<()> {
        let is_new = self.own.create(&self.wrote.database, &self.wrote.table, definition).await.map_err(failed)?;
        if is_new || if_not_exists { Ok(()) } else { Err(self.taken()) }
    }

    async fn create_view(
        &self,
        schema: &Schema,
        sql: String,
        (in_catalog, in_database): (Option<String>, Option<String>),
        or_replace: bool,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        for field in schema.fields() {
            if !names.insert(field.name().to_lowercase()) {
                let error = Error::new(MEANING, format!("a view has no two columns {}", field.name()));
                return Err(error.with_help("AS another_name"));
            }
        }
        let column = |field: &FieldRef| (field.name().to_lowercase(), type_name(field.data_type()));
        let view = View {
            database: self.wrote.database.clone(),
            name: self.wrote.table.clone(),
            sql,
            in_catalog,
            in_database,
            columns: schema.fields().iter().map(column).collect(),
        };
        let is_made = self.own.create_view(&view, or_replace).await.map_err(failed)?;
        if is_made { Ok(()) } else { Err(self.taken()) }
    }

    async fn drop(&self, if_exists: bool, is_view: bool) -> Result<Done> {
        match (self.find().await?, is_view) {
            (None, _) if if_exists => Ok(Done::default()),
            (None, _) => Err(self.missing()),
            (Some(Other::View(_)), false) => {
                Err(Error::new(REFUSED, format!("{} is a view", self.name())).with_help("DROP VIEW"))
            }
            (Some(Other::External(_)), true) => {
                Err(Error::new(REFUSED, format!("{} is a table", self.name())).with_help("DROP TABLE"))
            }
            _ => {
                self.own.remove(&self.wrote.database, &self.wrote.table).await.map_err(failed)?;
                Ok(Done::default())
            }
        }
    }

    async fn set_properties(&self, properties: Vec<(String, String)>) -> Result<Done> {
        if self.find().await?.is_none() {
            return Err(self.missing());
        }
        let set = self.own.set_properties(&self.wrote.database, &self.wrote.table, properties);
        set.await.map_err(failed)?;
        Ok(Done::default())
    }

    async fn insert(
        &self,
        table: &ExternalTable,
        columns: &[String],
        rows: crate::rows::Rows,
        name: &str,
    ) -> Result<Done> {
        let keys: Vec<String> = table.partition_columns.iter().map(|field| field.name().clone()).collect();
        let export = Export::of_table(table)?;
        let schema = table.schema();
        let assignment = Assignment::new(&schema, columns, rows.schema())?;
        let mut rows = rows;
        let exported =
            export.write_as(&mut rows, table.access.as_ref(), name, |batch| assignment.fitted(batch, &schema)).await?;
        let partitions = new_partitions(&keys, &exported);
        self.own.add_partitions(&table.database, &table.name, partitions).await.map_err(failed)?;
        Ok(Done { files: Some(exported.files), ..Done::of(Some(exported.row_count), &rows) })
    }

    async fn add_partitions(&self, partitions: Vec<NewPartition>, if_not_exists: bool) -> Result<Done> {
        let table = self.external().await?;
        for partition in &partitions {
            check_keys(&table, partition.values.iter().map(|(name, _)| name.as_str()))?;
        }
        let known = self.own.add_partitions(&table.database, &table.name, partitions).await.map_err(failed)?;
        match known.first() {
            Some(known) if !if_not_exists => {
                let values: Vec<String> = known.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                let error = Error::new(REFUSED, format!("partition {} exists already", values.join("/")));
                Err(error.with_help("ADD IF NOT EXISTS PARTITION"))
            }
            _ => Ok(Done::default()),
        }
    }

    async fn drop_partitions(&self, values: Vec<Vec<(String, String)>>, if_exists: bool) -> Result<Done> {
        let table = self.external().await?;
        for values in &values {
            check_keys(&table, values.iter().map(|(name, _)| name.as_str()))?;
        }
        let wanted = values.len();
        let dropped = self.own.drop_partitions(&table.database, &table.name, values).await.map_err(failed)?;
        if dropped < wanted && !if_exists {
            let error = Error::new(REFUSED, format!("{} has no such partition", self.name()));
            return Err(error.with_help("DROP IF EXISTS PARTITION"));
        }
        Ok(Done::default())
    }

    /// Adds the folders `name=value/…` of the table that are no partitions yet.
    async fn repair(&self) -> Result<Done> {
        let table = self.external().await?;
        if !table.is_partitioned() {
            return Err(Error::new(REFUSED, format!("{} is not partitioned", self.name())));
        }
        let (bucket, prefix) = split_location(&table.location).map_err(failed)?;
        let store = table.access.open(bucket).map_err(failed)?;
        let mut found = BTreeSet::new();
        let mut objects = store.list(Some(&prefix));
        while let Some(object) = objects.next().await {
            let object = object.map_err(|error| Error::new(EXECUTION, format!("list {}: {error}", table.location)))?;
            let Some(parts) = object.location.prefix_match(&prefix) else { continue };
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            let folders = parts.iter().zip(&table.partition_columns).map(|(part, column)| {
                let (name, value) = part.split_once('=')?;
                let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
                name.eq_ignore_ascii_case(column.name()).then(|| (column.name().clone(), value))
            });
            // The last part is the file.
            let values: Option<Vec<(String, String)>> = folders.collect();
            found.extend(
                values.filter(|values| values.len() == table.partition_columns.len() && parts.len() > values.len()),
            );
        }
        let partitions = found.into_iter().map(|values| NewPartition { values, location: None }).collect();
        self.own.add_partitions(&table.database, &table.name, partitions).await.map_err(failed)?;
        Ok(Done::default())
    }
}

fn check_keys<'a>(table: &ExternalTable, given: impl Iterator<Item = &'a str>) -> Result<()> {
    let given: BTreeSet<&str> = given.collect();
    let keys: BTreeSet<&str> = table.partition_columns.iter().map(|field| field.name().as_str()).collect();
    if given == keys {
        return Ok(());
    }
    let keys = table.partition_columns.iter().map(|field| format!("{} = '…'", field.name())).collect::<Vec<_>>();
    let message = format!("a partition of {}.{} has a value for each of its columns", table.database, table.name);
    Err(Error::new(MEANING, message).with_help(format!("PARTITION ({})", keys.join(", "))))
}

fn new_partitions(keys: &[String], exported: &Exported) -> Vec<NewPartition> {
    let of = |values: &Vec<Option<String>>| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| crate::export::NULL_PARTITION.to_owned());
        let values = keys.iter().zip(values).map(|(key, given)| (key.to_lowercase(), value(given))).collect();
        NewPartition { values, location: None }
    };
    exported.partitions.iter().filter(|values| !values.is_empty()).map(of).collect()
}

/// The columns of a table that takes a query's rows: those of partitions come last.
fn columns(query: &Schema, keys: &[String]) -> Result<(Vec<ColumnDefinition>, Vec<ColumnDefinition>)> {
    let column = |field: &FieldRef| ColumnDefinition {
        name: field.name().to_lowercase(),
        type_name: type_name(field.data_type()).replace(" with time zone", ""),
        comment: None,
    };
    let columns: Vec<ColumnDefinition> = query.fields().iter().map(column).collect();
    let own_count = columns.len().saturating_sub(keys.len());
    let are_last = columns[own_count..].iter().zip(keys).all(|(column, key)| column.name == key.to_lowercase());
    if !are_last || own_count == 0 {
        let message = format!("the columns to partition by are the last ones of the query: {}", keys.join(", "));
        return Err(Error::new(MEANING, message).with_help("SELECT others, then these in their order"));
    }
    if let Some(column) = columns.iter().find(|column| crate::external::hive_type(&column.type_name).is_none()) {
        let message = format!("column {} has type {}, which Hive does not have", column.name, column.type_name);
        return Err(Error::new(MEANING, message).with_help("CAST(… AS varchar)"));
    }
    let (own, keys) = columns.split_at(own_count);
    Ok((own.to_vec(), keys.to_vec()))
}
