//! What else of a table hangs on a column, and so limits how it may change.

use std::fmt;

use iceberg::spec::{TableMetadata, Transform};

use crate::commit;
use crate::error::Result;

/// How the doc of a column begins that a pipeline made.
const ATTRIBUTE_DOC: &str = "dynamodb attribute: ";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// `keeps_type` where the partition's values are of the column's own type.
    Partition {
        keeps_type: bool,
    },
    SortOrder,
    Identifier,
    /// A column that every row has, in a table that a pipeline writes: perhaps its key. For sure, where the pipeline
    /// made the column.
    Pipeline {
        name: String,
        is_its_own: bool,
    },
}

impl Pin {
    pub fn forbids_dropping(&self) -> bool {
        true
    }

    pub fn forbids_renaming(&self) -> bool {
        matches!(self, Self::Pipeline { .. })
    }

    pub fn forbids_null(&self) -> bool {
        matches!(self, Self::Identifier | Self::Pipeline { is_its_own: true, .. })
    }

    pub fn forbids_widening(&self) -> bool {
        matches!(self, Self::Partition { keeps_type: true } | Self::Pipeline { .. })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Manifests of an old spec too: they cannot be written again once its column is gone.
            Self::Partition { .. } => f.write_str("the table is, or was, partitioned by it"),
            Self::SortOrder => f.write_str("the table is sorted by it"),
            Self::Identifier => f.write_str("it is one of the table's identifier fields"),
            Self::Pipeline { name, is_its_own: true } => write!(f, "pipeline {name} needs it as it is"),
            Self::Pipeline { name, is_its_own: false } => {
                write!(f, "pipeline {name} may find its rows by it, as it is required")
            }
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
        for field in schema.as_struct().fields() {
            let is_metadata = field.name.starts_with('_');
            let is_attribute = field.doc.as_ref().is_some_and(|doc| doc.starts_with(ATTRIBUTE_DOC));
            if is_metadata || field.required {
                let is_its_own = is_metadata || is_attribute;
                pins.push((field.id, Pin::Pipeline { name: stamp.pipeline.clone(), is_its_own }));
            }
        }
    }
    Ok(pins)
}
