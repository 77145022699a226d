//! From a declared transform to one that runs.

use iceberg::arrow::schema_to_arrow_schema;
use iceberg::table::Table;
use pipeline::{Attributes, Error, ErrorKind, KeyAttribute, Mode, Result, SqlOptions, SqlTransform};

use crate::config::Transform;

impl Transform {
    /// The table property that says that this transform was in use, and how attributes were typed.
    pub fn record_name(&self) -> String {
        SqlTransform::record_name(&self.sql.text)
    }

    /// Compiles it for items like `items` with the key `keys`, and for `table`, where it exists.
    pub fn compile(
        &self,
        keys: &[KeyAttribute],
        items: &[serde_json::Value],
        mode: Mode,
        table: Option<&Table>,
    ) -> Result<SqlTransform> {
        let attributes = self.attributes(keys, items, table)?;
        let misconfigured = |message: String| Error::new(ErrorKind::Misconfigured, message);
        let token_key = self.token_key.as_ref().map(|place| place.read()).transpose();
        let token_key = token_key.map_err(|failure| misconfigured(failure.message()))?;
        let target = match table {
            Some(table) => {
                let schema = schema_to_arrow_schema(table.metadata().current_schema());
                Some(schema.map_err(|error| misconfigured("read the schema of the target".into()).with_source(error))?)
            }
            None => None,
        };
        let options = SqlOptions { mode, token_key: token_key.as_ref(), target: target.as_ref() };
        Ok(SqlTransform::compile(&self.sql.text, &attributes, options)?)
    }

    fn attributes(
        &self,
        keys: &[KeyAttribute],
        items: &[serde_json::Value],
        table: Option<&Table>,
    ) -> Result<Attributes> {
        let mut attributes = Attributes::of_sample(keys, items);
        if let Some(table) = table {
            attributes = attributes.with_recorded(table.metadata().properties())?;
        }
        for (name, data_type) in &self.attributes_declared {
            attributes.declare(name, data_type.clone());
        }
        Ok(attributes)
    }
}
