//! `dynaberg schema`: the schemas that a table had, and changes that files already written survive.

use iceberg::TableIdent;
use iceberg::spec::Type;
use lake::{Difference, SchemaChange, SchemaVersion};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::cli::{Format, SchemaArgs, SchemaChangeArgs};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{self, timestamp};
use crate::system;

use super::sql::parse_catalog;

pub async fn run(arguments: SchemaArgs) -> Outcome {
    let Some(table) = &arguments.table else { return output::line(crate::config::JSON_SCHEMA.trim_end()) };
    let name = parse_table(table)?;
    let changes = parse_changes(&arguments.changes)?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let lake = Aws::from_environment(system::ambient()).await?.lake(catalog.as_ref()).await?;
    let format = output::format_or_default(arguments.output);
    let before = lake.load_table(&name).await?;
    if changes.is_empty() {
        return show_history(format, &name, &lake::schema_history(before.metadata()));
    }

    let (schema_id, after) = match arguments.changes.plan {
        true => (None, lake::changed_schema(&before, &changes).map_err(|error| refused(error, &name))?),
        false => {
            let changed = lake::change_schema(&lake, &name, &changes).await;
            let changed = changed.map_err(|error| refused(error, &name))?;
            let schema = changed.metadata().current_schema();
            (Some(schema.schema_id()), schema.as_ref().clone())
        }
    };
    let differences = lake::differences(Some(before.metadata().current_schema()), &after);
    show_change(format, &name, schema_id, &differences)
}

fn refused(error: lake::Error, name: &TableIdent) -> Failure {
    let is_illegal = error.kind() == lake::ErrorKind::Refused;
    let failure = Failure::from(error);
    match is_illegal {
        true => failure.advise(format!("dynaberg schema {name}, for the columns as they are")),
        false => failure,
    }
}

/// A `TABLE` argument.
pub fn parse_table(text: &str) -> Outcome<TableIdent> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
        return Err(Failure::new(Exit::Usage, format!("{text}: the table needs its namespace"))
            .advise("NAMESPACE.TABLE, as in analytics.transactions"));
    }
    TableIdent::from_strs(parts).map_err(|error| Failure::caused_by(Exit::Usage, &error))
}

fn parse_changes(arguments: &SchemaChangeArgs) -> Outcome<Vec<SchemaChange>> {
    let mut changes = Vec::new();
    for text in &arguments.add {
        let (path, field_type) = parse_typed("--add", text)?;
        changes.push(SchemaChange::Add { path, field_type });
    }
    for text in &arguments.rename {
        let Some((path, to)) = text.split_once('=') else {
            return Err(usage("--rename", text, "there is no new name", "--rename amount=total, or place.city=town"));
        };
        changes.push(SchemaChange::Rename { path: path.to_owned(), to: to.to_owned() });
    }
    for text in &arguments.widen {
        let (path, Type::Primitive(to)) = parse_typed("--widen", text)? else {
            return Err(usage(
                "--widen",
                text,
                "only single values widen",
                "--widen NAME:long, double or decimal(38,2)",
            ));
        };
        changes.push(SchemaChange::Widen { path, to });
    }
    changes.extend(arguments.optional.iter().map(|path| SchemaChange::MakeOptional { path: path.clone() }));
    changes.extend(arguments.drop.iter().map(|path| SchemaChange::Drop { path: path.clone() }));
    Ok(changes)
}

/// `NAME:TYPE`.
fn parse_typed(flag: &str, text: &str) -> Outcome<(String, Type)> {
    let (path, name) = text.split_once(':').unwrap_or((text, ""));
    let field_type = lake::parse_type(name).ok_or_else(|| {
        let advice = format!("{flag} {path}:TYPE with string, long, decimal(12,2), timestamptz, list<string>, …");
        usage(flag, text, &format!("`{name}` is not a type of Iceberg"), &advice)
    })?;
    Ok((path.to_owned(), field_type))
}

fn usage(flag: &str, text: &str, message: &str, advice: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{flag} {text}: {message}")).advise(advice)
}

fn show_history(format: Format, name: &TableIdent, versions: &[SchemaVersion]) -> Outcome {
    if format == Format::Json {
        let schemas: Vec<Value> = versions
            .iter()
            .map(|version| {
                json!({
                    "schema_id": version.schema_id,
                    "is_current": version.is_current,
                    "first_snapshot_at": version.first_snapshot_ms.map(timestamp),
                    "differences": json_of(&version.differences),
                })
            })
            .collect();
        return output::json(&json!({ "table": name.to_string(), "schemas": schemas }));
    }
    output::line(name)?;
    for version in versions {
        let since = version.first_snapshot_ms.map_or("no snapshot".to_owned(), timestamp);
        let current = if version.is_current { " · current" } else { "" };
        output::line(format_args!("schema {} · {since}{current}", version.schema_id))?;
        show_differences(&version.differences)?;
    }
    Ok(())
}

fn show_change(format: Format, name: &TableIdent, schema_id: Option<i32>, differences: &[Difference]) -> Outcome {
    if format == Format::Json {
        return output::json(&json!({
            "table": name.to_string(),
            "applied": schema_id.is_some(),
            "schema_id": schema_id,
            "differences": json_of(differences),
        }));
    }
    match schema_id {
        Some(id) => output::line(format_args!("{name} has schema {id}"))?,
        None => output::line(format_args!("{name} would change, without --plan"))?,
    }
    show_differences(differences)
}

fn show_differences(differences: &[Difference]) -> Outcome {
    differences.iter().try_for_each(|difference| output::line(format_args!("  {difference}")))
}

fn json_of(differences: &[Difference]) -> Vec<Value> {
    let one = |difference: &Difference| match difference {
        Difference::Added { path, field_type, required } => {
            json!({ "change": "added", "column": path, "type": field_type, "required": required })
        }
        Difference::Removed { path, field_type } => json!({ "change": "removed", "column": path, "type": field_type }),
        Difference::Renamed { from, to } => json!({ "change": "renamed", "column": to, "from": from, "to": to }),
        Difference::Retyped { path, from, to } => {
            json!({ "change": "retyped", "column": path, "from": from, "to": to })
        }
        Difference::MadeOptional { path } => json!({ "change": "made_optional", "column": path }),
        Difference::MadeRequired { path } => json!({ "change": "made_required", "column": path }),
    };
    differences.iter().map(one).collect()
}
