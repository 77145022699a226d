//! Finds a column of the table in a file by its Iceberg field id.
//!
//! Names change, and a name can come back for another column: only the id says which column of a file is meant.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use iceberg::spec;

use crate::scan::align::AlignExpr;
use crate::scan::bounds::to_scalar;
use crate::scan::schema::field_id;

/// Rewrites expressions over the table's columns into expressions over a file's columns.
#[derive(Debug)]
pub(super) struct ByFieldId {
    pub table: spec::SchemaRef,
}

impl PhysicalExprAdapterFactory for ByFieldId {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let has_ids = file.fields().iter().any(|field| field_id(field).is_some());
        Ok(Arc::new(FileColumns { iceberg: self.table.clone(), table, file, has_ids }))
    }
}

#[derive(Debug)]
struct FileColumns {
    iceberg: spec::SchemaRef,
    table: SchemaRef,
    file: SchemaRef,
    /// Files that were imported as they were carry no ids; their columns go by name.
    has_ids: bool,
}

impl PhysicalExprAdapter for FileColumns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| match expr.as_any().downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.find(column.name())?)),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}

impl FileColumns {
    /// The table's column `name`, as the file has it.
    fn find(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = self.table.field_with_name(name)?;
        let is_wanted = |field: &Field| match self.has_ids {
            true => field_id(field).is_some() && field_id(field) == field_id(wanted),
            false => field.name() == name,
        };
        let Some(index) = self.file.fields().iter().position(|field| is_wanted(field)) else {
            return Ok(Arc::new(Literal::new(self.value_if_missing(wanted)?)));
        };

        let found = self.file.field(index);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(found.name(), index));
        if found.data_type() == wanted.data_type() {
            return Ok(column);
        }
        Ok(match wanted.data_type().is_nested() {
            true => Arc::new(AlignExpr::new(column, wanted.data_type().clone())),
            false => Arc::new(CastExpr::new(column, wanted.data_type().clone(), None)),
        })
    }

    /// What a row has in a column that its file was written without.
    fn value_if_missing(&self, wanted: &Field) -> Result<ScalarValue> {
        let column = field_id(wanted).and_then(|id| self.iceberg.field_by_id(id));
        let default = column.and_then(|column| column.initial_default.as_ref());
        if let Some(spec::Literal::Primitive(default)) = default {
            return to_scalar(default, wanted.data_type())
                .ok_or_else(|| unfit(wanted, "has a default of another type"));
        }
        if !wanted.is_nullable() {
            return Err(unfit(wanted, "is required, but a file of the table lacks it"));
        }
        null(wanted.data_type())
    }
}

fn null(data_type: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from(data_type)
}

fn unfit(wanted: &Field, why: &str) -> DataFusionError {
    DataFusionError::Execution(format!("column {} {why}", wanted.name()))
}
