//! What sets one schema apart from another, and the schemas that a table had.

use std::fmt;

use iceberg::spec::{NestedFieldRef, Schema, TableMetadata, Type};

use crate::evolve::text;

/// One difference, at a column or a field within. What is within an added or removed one is not listed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Added { path: String, field_type: String, required: bool },
    Removed { path: String, field_type: String },
    Renamed { from: String, to: String },
    Retyped { path: String, from: String, to: String },
    MadeOptional { path: String },
    MadeRequired { path: String },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { path, field_type, required: true } => write!(f, "+ {path} {field_type}, required"),
            Self::Added { path, field_type, required: false } => write!(f, "+ {path} {field_type}"),
            Self::Removed { path, field_type } => write!(f, "- {path} {field_type}"),
            Self::Renamed { from, to } => write!(f, "~ {from} → {to}"),
            Self::Retyped { path, from, to } => write!(f, "~ {path} {from} → {to}"),
            Self::MadeOptional { path } => write!(f, "~ {path} is optional"),
            Self::MadeRequired { path } => write!(f, "~ {path} is required"),
        }
    }
}

/// A schema of a table, and how it differs from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    pub schema_id: i32,
    pub is_current: bool,
    /// When the first snapshot under it was committed, if that is still kept.
    pub first_snapshot_ms: Option<i64>,
    pub differences: Vec<Difference>,
}

/// The schemas of a table, in the order of their ids.
pub fn schema_history(metadata: &TableMetadata) -> Vec<SchemaVersion> {
    let mut schemas: Vec<_> = metadata.schemas_iter().collect();
    schemas.sort_by_key(|schema| schema.schema_id());
    let mut versions = Vec::with_capacity(schemas.len());
    let mut before: Option<&Schema> = None;
    for schema in schemas {
        let of_schema = metadata.snapshots().filter(|snapshot| snapshot.schema_id() == Some(schema.schema_id()));
        versions.push(SchemaVersion {
            schema_id: schema.schema_id(),
            is_current: schema.schema_id() == metadata.current_schema_id(),
            first_snapshot_ms: of_schema.map(|snapshot| snapshot.timestamp_ms()).min(),
            differences: differences(before, schema),
        });
        before = Some(schema);
    }
    versions
}

/// What has to happen to `before` to make it `after`; all is added where there is nothing before.
pub fn differences(before: Option<&Schema>, after: &Schema) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(after.as_struct().fields(), &mut |field, parent| compare(before, after, field, parent, &mut found));
    if let Some(before) = before {
        walk(before.as_struct().fields(), &mut |field, _| {
            let is_removed = after.field_by_id(field.id).is_none();
            if is_removed {
                let (path, field_type) = (path_of(before, field), text::of(&field.field_type));
                found.push(Difference::Removed { path, field_type });
            }
            !is_removed
        });
    }
    found
}

/// Notes how `field` differs. Tells whether to look at what is within.
fn compare(
    before: Option<&Schema>,
    after: &Schema,
    field: &NestedFieldRef,
    parent: Option<&NestedFieldRef>,
    found: &mut Vec<Difference>,
) -> bool {
    let path = path_of(after, field);
    let Some((schema, old)) = before.and_then(|schema| Some((schema, schema.field_by_id(field.id)?))) else {
        let field_type = text::of(&field.field_type);
        found.push(Difference::Added { path, field_type, required: field.required });
        return false;
    };
    let is_named = parent.is_none_or(|parent| matches!(*parent.field_type, Type::Struct(_)));
    if is_named && old.name != field.name {
        found.push(Difference::Renamed { from: path_of(schema, old), to: path.clone() });
    }
    if old.field_type.is_primitive() && old.field_type != field.field_type {
        let (from, to) = (text::of(&old.field_type), text::of(&field.field_type));
        found.push(Difference::Retyped { path: path.clone(), from, to });
    }
    match (old.required, field.required) {
        (true, false) => found.push(Difference::MadeOptional { path }),
        (false, true) => found.push(Difference::MadeRequired { path }),
        _ => {}
    }
    true
}

/// Visits fields before what is within them, as long as `visit` says so.
fn walk(fields: &[NestedFieldRef], visit: &mut impl FnMut(&NestedFieldRef, Option<&NestedFieldRef>) -> bool) {
    let mut open: Vec<(&NestedFieldRef, Option<&NestedFieldRef>)> = fields.iter().rev().map(|f| (f, None)).collect();
    while let Some((field, parent)) = open.pop() {
        if !visit(field, parent) {
            continue;
        }
        match field.field_type.as_ref() {
            Type::Struct(of) => open.extend(of.fields().iter().rev().map(|inner| (inner, Some(field)))),
            Type::List(of) => open.push((&of.element_field, Some(field))),
            Type::Map(of) => open.extend([(&of.value_field, Some(field)), (&of.key_field, Some(field))]),
            Type::Primitive(_) => {}
        }
    }
}

fn path_of(schema: &Schema, field: &NestedFieldRef) -> String {
    schema.name_by_field_id(field.id).unwrap_or(&field.name).to_owned()
}
