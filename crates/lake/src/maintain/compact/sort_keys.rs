//! What rows are sorted by: the columns of the table's sort order, transformed as it says, or their place on a Z-curve.

use arrow::array::{Array, ArrayRef};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use iceberg::spec::{NullOrder, Schema, SortDirection, SortOrder, Transform};
use iceberg::transform::{BoxedTransformFunction, create_transform_function};

use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::z_order::ZCurve;
use crate::scan::{LakeTable, PlannedFile};

pub(crate) struct SortKeys {
    columns: Vec<KeyColumn>,
    /// Where given, it is the only key.
    curve: Option<ZCurve>,
}

struct KeyColumn {
    index: usize,
    /// `None` for the column as it is.
    transform: Option<BoxedTransformFunction>,
    options: SortOptions,
}

impl SortKeys {
    /// The table's sort order. `Refused` where rows cannot be sorted by it.
    pub fn of_table(lake: &LakeTable) -> Result<Self> {
        let metadata = lake.table().metadata();
        let columns = key_columns(metadata.default_sort_order(), lake.columns())?;
        Ok(Self { columns, curve: None })
    }

    /// Z-order by the columns of the table's sort order. Where values lie is learned from `files`.
    pub fn on_curve(lake: &LakeTable, files: &[PlannedFile]) -> Result<Self> {
        let keys = Self::of_table(lake)?;
        let curve = ZCurve::new(lake, keys.columns.iter().map(|column| column.index), files)?;
        Ok(Self { curve: Some(curve), ..keys })
    }

    pub fn options(&self) -> impl Iterator<Item = SortOptions> {
        let count = if self.curve.is_some() { 1 } else { self.columns.len() };
        let options = |column: &KeyColumn| if self.curve.is_some() { SortOptions::default() } else { column.options };
        self.columns.iter().take(count).map(options)
    }

    /// The types of the keys of rows of `schema`.
    pub fn types(&self, schema: &SchemaRef) -> Result<Vec<DataType>> {
        let keys = self.of(&RecordBatch::new_empty(schema.clone()))?;
        Ok(keys.iter().map(|key| key.data_type().clone()).collect())
    }

    pub fn of(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        match &self.curve {
            Some(curve) => Ok(vec![curve.of(batch)?]),
            None => self.columns.iter().map(|column| column.of(batch)).collect(),
        }
    }
}

impl KeyColumn {
    fn of(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let column = batch.column(self.index);
        let Some(transform) = &self.transform else { return Ok(column.clone()) };
        let failed = || Error::new(ErrorKind::Unexpected, "sort rows by a transformed column");
        // The transforms know no views.
        let column = match column.data_type() {
            DataType::Utf8View => cast(column, &DataType::Utf8),
            DataType::BinaryView => cast(column, &DataType::LargeBinary),
            _ => Ok(column.clone()),
        };
        let column = column.map_err(|error| failed().with_source(error))?;
        transform.transform(column).map_err(|error| failed().with_source(error))
    }
}

/// Whether [`SortKeys`] can be made of a sort order.
pub(crate) fn is_sortable(order: &SortOrder, schema: &Schema) -> bool {
    !order.is_unsorted() && key_columns(order, schema).is_ok()
}

fn key_columns(order: &SortOrder, schema: &Schema) -> Result<Vec<KeyColumn>> {
    let refused = |what: &str| Error::new(ErrorKind::Refused, format!("sort rows by {what}"));
    let columns = order.fields.iter().map(|field| {
        let index = schema.as_struct().fields().iter().position(|column| column.id == field.source_id);
        let index = index.ok_or_else(|| refused("a nested column"))?;
        let transform = match &field.transform {
            Transform::Identity => None,
            Transform::Void | Transform::Unknown => return Err(refused("a transform that is not known")),
            transform => {
                let function = create_transform_function(transform);
                Some(function.map_err(|error| refused("a transformed column").with_source(error))?)
            }
        };
        let options = SortOptions {
            descending: field.direction == SortDirection::Descending,
            nulls_first: field.null_order == NullOrder::First,
        };
        Ok(KeyColumn { index, transform, options })
    });
    columns.collect()
}
