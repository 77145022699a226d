//! Fits a nested value of a file to the table's type: fields found by id, renamed, widened, or null where missing.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use crate::scan::schema::field_id;

/// `column`, fitted to `data_type`.
#[derive(Clone, Debug, Eq)]
pub(super) struct AlignExpr {
    column: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

impl AlignExpr {
    pub fn new(column: Arc<dyn PhysicalExpr>, data_type: DataType) -> Self {
        Self { column, data_type }
    }
}

// Derived equality does not see through `Arc<dyn …>`.
impl PartialEq for AlignExpr {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.data_type == other.data_type
    }
}

impl Hash for AlignExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.data_type.hash(state);
    }
}

impl fmt::Display for AlignExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "align({})", self.column)
    }
}

impl PhysicalExpr for AlignExpr {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.column.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(align(&array, &self.data_type)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let column = children.pop().expect("an aligned column has one child");
        Ok(Arc::new(Self::new(column, self.data_type.clone())))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}

fn align(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(array.clone()),
        (DataType::Struct(_), DataType::Struct(fields)) => Ok(Arc::new(align_struct(array.as_struct(), fields)?)),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = align(list.values(), element.data_type())?;
            let aligned = ListArray::try_new(element.clone(), list.offsets().clone(), values, list.nulls().cloned())?;
            Ok(Arc::new(aligned))
        }
        // As other writers have lists. Casting their elements as well would match fields by place, not by id.
        (DataType::LargeList(element) | DataType::FixedSizeList(element, _), DataType::List(_)) => {
            align(&cast(array, &DataType::List(element.clone()))?, to)
        }
        (DataType::Map(..), DataType::Map(entries, ordered)) => {
            Ok(Arc::new(align_map(array.as_map(), entries, *ordered)?))
        }
        (_, to) => cast(array, to),
    }
}

fn align_struct(array: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let has_ids = array.fields().iter().any(|field| field_id(field).is_some());
    let mut children = Vec::with_capacity(fields.len());
    for wanted in fields {
        let is_wanted = |field: &FieldRef| match has_ids {
            true => field_id(field).is_some() && field_id(field) == field_id(wanted),
            false => field.name() == wanted.name(),
        };
        children.push(match array.fields().iter().position(is_wanted) {
            Some(index) => align(array.column(index), wanted.data_type())?,
            None => new_null_array(wanted.data_type(), array.len()),
        });
    }
    StructArray::try_new_with_length(fields.clone(), children, array.nulls().cloned(), array.len())
}

fn align_map(array: &MapArray, entries: &FieldRef, ordered: bool) -> Result<MapArray, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(ArrowError::SchemaError("a map without entries".to_owned()));
    };
    // An entry is its key and its value, whatever a writer called them.
    let key = align(array.keys(), fields[0].data_type())?;
    let value = align(array.values(), fields[1].data_type())?;
    let aligned = StructArray::try_new(fields.clone(), vec![key, value], array.entries().nulls().cloned())?;
    MapArray::try_new(entries.clone(), array.offsets().clone(), aligned, array.nulls().cloned(), ordered)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, Int64Array, LargeListArray, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;
    use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

    use super::*;

    fn field(id: i32, name: &str, data_type: DataType) -> FieldRef {
        let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
        Arc::new(Field::new(name, data_type, true).with_metadata([id].into()))
    }

    #[test]
    fn the_elements_of_a_large_list_are_matched_by_id_too() {
        let before = Fields::from(vec![field(1, "a", DataType::Int32), field(2, "b", DataType::Utf8)]);
        let rows: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![7])), Arc::new(StringArray::from(vec!["x"]))];
        let rows = StructArray::new(before.clone(), rows, None);
        let element = field(10, "element", DataType::Struct(before));
        let list = LargeListArray::new(element, OffsetBuffer::new(vec![0, 1].into()), Arc::new(rows), None);

        // `b` is dropped, `a` widened and renamed to it, `c` is new.
        let after = Fields::from(vec![field(3, "c", DataType::Utf8), field(1, "b", DataType::Int64)]);
        let to = DataType::List(field(10, "element", DataType::Struct(after)));
        let aligned = align(&(Arc::new(list) as ArrayRef), &to).unwrap();
        assert_eq!(aligned.data_type(), &to);
        let rows = aligned.as_list::<i32>().value(0);
        let rows = rows.as_struct();
        assert_eq!(rows.column(0).null_count(), 1);
        assert_eq!(rows.column(1).as_any().downcast_ref::<Int64Array>().unwrap().values(), &[7]);
    }
}
