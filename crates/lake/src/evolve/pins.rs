//! What else of a table hangs on a column, and so limits how it may change.

use std::fmt;

use iceberg::spec::{TableMetadata, Transform};

use crate::commit;
use crate::error::Result;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// `keeps_type` where the partition's values are of the column's own type.
    Partition {
        keeps_type: bool,
    },
    SortOrder,
    Identifier,
    /// Written by this pipeline, which needs a value in it for every row.
    Pipeline(String),
}

impl Pin {
    pub fn forbids_dropping(&self) -> bool {
        true
    }

    pub fn forbids_renaming(&self) -> bool {
        matches!(self, Self::Pipeline(_))
    }

    pub fn forbids_null(&self) -> bool {
        matches!(self, Self::Identifier | Self::Pipeline(_))
    }

    pub fn forbids_widening(&self) -> bool {
        matches!(self, Self::Partition { keeps_type: true } | Self::Pipeline(_))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Manifests of an old spec too: they cannot be written again once its column is gone.
            Self::Partition { .. } => f.write_str("the table is, or was, partitioned by it"),
            Self::SortOrder => f.write_str("the table is sorted by it"),
            Self::Identifier => f.write_str("it is one of the table's identifier fields"),
            Self::Pipeline(pipeline) => write!(f, "it is a key or position that pipeline {pipeline} writes"),
        }
    }
}

/// The pins of all columns of the table, by field id.
pub(super) fn of(metadata: &TableMetadata) -> Result<Vec<(i32, Pin)>> {
    let mut pins = Vec::new();
    for field in metadata.partition_specs_iter().flat_map(|spec| spec.fields()) {
        let keeps_type = matches!(field.transform, Transform::Identity | Transform::Truncate(_));
        pins.push((field.source_id, Pin::Partition { keeps_type }));
    }
    pins.extend(metadata.default_sort_order().fields.iter().map(|field| (field.source_id, Pin::SortOrder)));
    let schema = metadata.current_schema();
    pins.extend(schema.identifier_field_ids().map(|id| (id, Pin::Identifier)));
    if let Some(stamp) = commit::find(metadata)? {
        // A table that a pipeline made has its keys required, and its own columns begin with `_`.
        let fields = schema.as_struct().fields().iter();
        let needed = fields.filter(|field| field.required || field.name.starts_with('_'));
        pins.extend(needed.map(|field| (field.id, Pin::Pipeline(stamp.pipeline.clone()))));
    }
    Ok(pins)
}
