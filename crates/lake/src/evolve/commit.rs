//! Makes a changed schema a table's current one.

use iceberg::spec::Schema;
use iceberg::table::Table;
use iceberg::{TableIdent, TableRequirement, TableUpdate};
use tracing::warn;

use crate::catalog::{Catalog, CommitRequest, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::evolve::change::{Base, SchemaChange, changed};
use crate::evolve::{ATTEMPTS_MAX, BACKOFF, manifests, pins};

/// The schema that the table would have with all of `changes`. `Refused`, with the reason, where one of them is illegal.
pub fn changed_schema(table: &Table, changes: &[SchemaChange]) -> Result<Schema> {
    let metadata = table.metadata();
    let pins = pins::of(metadata)?;
    let base = Base { schema: metadata.current_schema(), last_column_id: metadata.last_column_id(), pins: &pins };
    changed(&base, changes)
}

/// Changes the table's schema by all of `changes`, or not at all, and gives the table with it.
///
/// Where another change comes first, these are worked out anew on top of it.
pub async fn change_schema(catalog: &Catalog, table: &TableIdent, changes: &[SchemaChange]) -> Result<Table> {
    let table = set_schema(catalog, table, changes).await?;
    if !changes.iter().any(manifests::changes_bounds) {
        return Ok(table);
    }
    match manifests::rewrite(catalog, table.clone()).await {
        Ok(table) => Ok(table),
        Err(error) => {
            // The schema is changed, and our own readers need no more than that.
            warn!(table = %table.identifier(), %error, "left manifests with the bounds of narrower columns");
            Ok(table)
        }
    }
}

async fn set_schema(catalog: &Catalog, table: &TableIdent, changes: &[SchemaChange]) -> Result<Table> {
    let mut table = catalog.load_table(table).await?;
    // What a request that was not answered may have made of the table.
    let mut doubtful: Option<Schema> = None;
    for attempt_number in 1..=ATTEMPTS_MAX {
        let current = table.metadata().current_schema();
        if doubtful.as_ref().is_some_and(|schema| schema.as_struct() == current.as_struct()) {
            return Ok(table);
        }
        let schema = changed_schema(&table, changes)?;
        let request = request(&table, &schema)?;
        match catalog.try_commit(&table, &request).await {
            Outcome::Applied(table) => return Ok(*table),
            Outcome::Refused(error) => return Err(error),
            // A conflict may be with the request that went unanswered before it.
            Outcome::Conflict(_) | Outcome::NotSent(_) => {}
            Outcome::Unknown(_) => doubtful = Some(schema),
        }
        BACKOFF.wait(catalog.ambient(), attempt_number).await;
        table = catalog.load_table(table.identifier()).await?;
    }
    Err(Error::new(ErrorKind::Transient, format!("change the schema of table {}", table.identifier())))
}

/// The request that makes `schema` the current one, unless somebody else changes the schema first.
pub(super) fn request(table: &Table, schema: &Schema) -> Result<CommitRequest> {
    let metadata = table.metadata();
    let requirements = vec![
        TableRequirement::UuidMatch { uuid: metadata.uuid() },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: metadata.current_schema_id() },
        TableRequirement::LastAssignedFieldIdMatch { last_assigned_field_id: metadata.last_column_id() },
    ];
    // -1 is the schema that was just added.
    let updates =
        vec![TableUpdate::AddSchema { schema: schema.clone() }, TableUpdate::SetCurrentSchema { schema_id: -1 }];
    CommitRequest::new(table, requirements, updates)
}
