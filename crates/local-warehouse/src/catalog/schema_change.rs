//! Which changes of a schema old data survives. The metadata builder lets others through, so we check.

use std::collections::HashSet;

use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, NestedFieldRef, PrimitiveType, Schema, TableMetadata, Type};

use crate::catalog::error::{CatalogError, Result};

const DECIMAL_PRECISION_MAX: u32 = 38;

/// Fails if an update adds a schema under which files already written would be read wrongly.
pub(crate) fn check(base: &TableMetadata, updates: &[TableUpdate]) -> Result<()> {
    let drops_all_data = updates
        .iter()
        .any(|update| matches!(update, TableUpdate::RemoveSnapshotRef { ref_name } if ref_name == MAIN_BRANCH));
    let has_data = base.current_snapshot().is_some() && !drops_all_data;
    let mut known: Vec<&Schema> = base.schemas_iter().map(AsRef::as_ref).collect();
    // The newest first; the current one before all.
    known.sort_by_key(|schema| (schema.schema_id() != base.current_schema_id(), -schema.schema_id()));
    for update in updates {
        if let TableUpdate::AddSchema { schema } = update {
            check_schema(&known, base.last_column_id(), schema, has_data)?;
        }
    }
    Ok(())
}

/// Fails where a type is none: Iceberg's own reader lets decimals through that nobody can store.
pub(crate) fn check_types(schema: &Schema) -> Result<()> {
    for field in all_fields(schema) {
        if let Type::Primitive(PrimitiveType::Decimal { precision, scale }) = *field.field_type
            && (!(1..=DECIMAL_PRECISION_MAX).contains(&precision) || scale > precision)
        {
            return Err(CatalogError::invalid(format!(
                "the type of the field {} is not valid: a decimal has 1 to {DECIMAL_PRECISION_MAX} digits, \
                 not {precision} with {scale} behind the point",
                field.name
            )));
        }
    }
    Ok(())
}

fn check_schema(known: &[&Schema], last_column_id: i32, schema: &Schema, has_data: bool) -> Result<()> {
    check_types(schema)?;
    let mut ids = HashSet::new();
    for field in all_fields(schema) {
        if !ids.insert(field.id) {
            return Err(CatalogError::invalid(format!("the field id {} stands for two fields", field.id)));
        }
        match known.iter().find_map(|schema| schema.field_by_id(field.id)) {
            Some(before) => check_field(schema, before, &field)?,
            None if field.id <= last_column_id => {
                return Err(CatalogError::invalid(format!(
                    "the new field {} has id {}, but ids up to {last_column_id} were given out before",
                    field.name, field.id
                )));
            }
            None if has_data && field.required && field.initial_default.is_none() && is_top_level(schema, field.id) => {
                return Err(CatalogError::invalid(format!(
                    "the new field {} must be optional: the rows already there have no value for it",
                    field.name
                )));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_field(schema: &Schema, before: &NestedFieldRef, after: &NestedFieldRef) -> Result<()> {
    if after.required && !before.required {
        return Err(CatalogError::invalid(format!(
            "the field {} is optional and cannot become required",
            schema.name_by_field_id(after.id).unwrap_or(&after.name)
        )));
    }
    if is_widening(&before.field_type, &after.field_type) {
        return Ok(());
    }
    Err(CatalogError::invalid(format!(
        "the type of the field {} cannot change from {} to {}",
        schema.name_by_field_id(after.id).unwrap_or(&after.name),
        before.field_type,
        after.field_type
    )))
}

/// Whether every value of `before` is one of `after`, and files of the one are read as the other. Nested types are
/// compared by kind only: their fields have ids of their own.
fn is_widening(before: &Type, after: &Type) -> bool {
    use PrimitiveType::{Decimal, Double, Float, Int, Long};
    match (before, after) {
        (Type::Primitive(before), Type::Primitive(after)) => match (before, after) {
            (Int, Long) | (Float, Double) => true,
            (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) => s1 == s2 && p1 <= p2,
            _ => before == after,
        },
        (Type::Struct(_), Type::Struct(_)) | (Type::List(_), Type::List(_)) | (Type::Map(_), Type::Map(_)) => true,
        _ => false,
    }
}

fn is_top_level(schema: &Schema, id: i32) -> bool {
    schema.as_struct().fields().iter().any(|field| field.id == id)
}

fn all_fields(schema: &Schema) -> Vec<NestedFieldRef> {
    let mut fields: Vec<NestedFieldRef> = Vec::new();
    let mut open: Vec<NestedFieldRef> = schema.as_struct().fields().to_vec();
    while let Some(field) = open.pop() {
        match field.field_type.as_ref() {
            Type::Struct(inner) => open.extend(inner.fields().iter().cloned()),
            Type::List(list) => open.push(list.element_field.clone()),
            Type::Map(map) => open.extend([map.key_field.clone(), map.value_field.clone()]),
            Type::Primitive(_) => {}
        }
        fields.push(field);
    }
    fields
}
