//! A table as a statement defines it, as Iceberg takes it.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::{Schema, Transform, Type, UnboundPartitionSpec};
use lake::TableCreation;

use crate::error::{Error, MEANING, NO_SUCH_COLUMN, REFUSED, Result};
use crate::export::Export;
use crate::external::ExternalDefinition;

/// The properties of a table that Athena knows, and what they are called in Iceberg.
const PROPERTIES: [(&str, &str); 11] = [
    ("format", "write.format.default"),
    ("write_compression", "write.parquet.compression-codec"),
    ("compression_level", "write.parquet.compression-level"),
    ("write_target_data_file_size_bytes", "write.target-file-size-bytes"),
    ("optimize_rewrite_min_data_file_size_bytes", "optimize_rewrite_min_data_file_size_bytes"),
    ("optimize_rewrite_max_data_file_size_bytes", "optimize_rewrite_max_data_file_size_bytes"),
    ("optimize_rewrite_data_file_threshold", "optimize_rewrite_data_file_threshold"),
    ("optimize_rewrite_delete_file_threshold", "optimize_rewrite_delete_file_threshold"),
    ("vacuum_min_snapshots_to_keep", "vacuum_min_snapshots_to_keep"),
    ("vacuum_max_snapshot_age_seconds", "vacuum_max_snapshot_age_seconds"),
    ("vacuum_max_metadata_files_to_keep", "vacuum_max_metadata_files_to_keep"),
];

#[derive(Default)]
pub(crate) struct Definition {
    pub columns: Vec<Field>,
    pub comment: Option<String>,
    /// `day(ts)`, `bucket(16, id)`, `region`.
    pub partitioning: Vec<String>,
    /// As the statement has them.
    pub properties: Vec<(String, String)>,
}

impl Definition {
    pub(super) fn creation(&self, name: &str) -> Result<TableCreation> {
        let schema = lake::schema_from_arrow(&ArrowSchema::new(self.columns.clone()));
        let schema = schema.map_err(|error| Error::new(MEANING, error.to_string()).with_source(error))?;
        let mut properties = table_properties(&self.properties)?;
        properties.extend(self.comment.clone().map(|comment| ("comment".to_owned(), comment)));
        let partition_spec = match self.partitioning.is_empty() {
            true => None,
            false => Some(partition_spec(&schema, &self.partitioning)?),
        };
        Ok(TableCreation { name: name.to_owned(), schema, partition_spec, sort_order: None, properties })
    }
}

impl Definition {
    /// A table outside of the lake, as `CREATE TABLE … WITH (…) AS` defines it, and how its rows are written. `default` is
    /// where it goes if that is not said.
    pub(super) fn external(&self, default: Option<String>) -> Result<(ExternalDefinition, Export)> {
        let mut definition = ExternalDefinition { comment: self.comment.clone(), ..ExternalDefinition::default() };
        let (mut format, mut location, mut written_as) = ("PARQUET".to_owned(), default, Vec::new());
        for (name, value) in &self.properties {
            match name.as_str() {
                "format" => format = value.to_uppercase(),
                "external_location" => location = Some(format!("{}/", value.trim_end_matches('/'))),
                "write_compression" | "parquet_compression" => {
                    written_as.push(("compression".to_owned(), value.clone()));
                }
                "field_delimiter" => {
                    written_as.push((name.clone(), value.clone()));
                    definition.serde_properties.insert("field.delim".to_owned(), value.clone());
                }
                "table_type" if value.eq_ignore_ascii_case("hive") => {}
                "is_external" if value.eq_ignore_ascii_case("true") => {}
                "table_type" if value.eq_ignore_ascii_case("iceberg") => {
                    let error =
                        Error::new(REFUSED, "an Iceberg table lies in a table bucket here, and this database in none");
                    return Err(error.with_help("table_type = 'HIVE'; or a database of \"s3tablescatalog/BUCKET\""));
                }
                _ => {
                    let error = Error::new(MEANING, format!("{name} = '{value}' has no meaning for an external table"));
                    return Err(error.with_help("format, external_location, write_compression, partitioned_by"));
                }
            }
        }
        let Some(location) = location else {
            let error = Error::new(MEANING, "it is not said where the table goes");
            return Err(error.with_help("WITH (external_location = 's3://bucket/prefix/')"));
        };
        written_as.push(("format".to_owned(), format.clone()));
        let export = Export::new(location.clone(), &written_as, self.partitioning.clone())?;
        definition.location = location;
        definition.properties.insert("classification".to_owned(), format.to_lowercase());
        let Some(definition) = definition.stored_as(&format) else {
            return Err(Error::new(MEANING, format!("format = '{format}' is not served"))
                .with_help("PARQUET, JSON or TEXTFILE"));
        };
        Ok((definition, export))
    }
}

/// A column of an Iceberg type.
pub(super) fn column(name: &str, of: &Type, comment: Option<String>) -> Result<Field> {
    let data_type = type_to_arrow_type(of);
    let data_type = data_type.map_err(|error| Error::new(MEANING, format!("column {name}: {error}")))?;
    let documented = comment.map(|comment| ("doc".to_owned(), comment)).into_iter().collect();
    Ok(Field::new(name.to_lowercase(), data_type, true).with_metadata(documented))
}

/// The columns of a table that takes the rows of a query.
pub(super) fn columns_of(query: &ArrowSchema) -> Result<Vec<Field>> {
    let column = |field: &std::sync::Arc<Field>| match stored(field.data_type()) {
        Some(data_type) => Ok(Field::new(field.name().to_lowercase(), data_type, true)),
        None => {
            let error = Error::new(MEANING, format!("column {} has no type that a table can keep", field.name()));
            Err(error.with_help(format!("CAST({} AS varchar)", field.name())))
        }
    };
    query.fields().iter().map(column).collect()
}

/// The type in which Iceberg keeps values of a query's type.
fn stored(of: &DataType) -> Option<DataType> {
    let element = |field: &Field| Some(field.clone().with_data_type(stored(field.data_type())?).with_nullable(true));
    Some(match of {
        DataType::Null => return None,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        DataType::Dictionary(_, value) => return stored(value),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            DataType::List(element(field)?.into())
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| element(field)).collect::<Option<Vec<Field>>>()?;
            DataType::Struct(fields.into())
        }
        DataType::Interval(_) | DataType::Duration(_) | DataType::Decimal256(..) => return None,
        other => other.clone(),
    })
}

/// Athena's names for properties in Iceberg's words. What neither knows is refused.
pub(super) fn table_properties(given: &[(String, String)]) -> Result<HashMap<String, String>> {
    let mut properties = HashMap::new();
    for (name, value) in given {
        let name = name.to_lowercase();
        let is_meant = |expected: &str| value.eq_ignore_ascii_case(expected);
        match name.as_str() {
            "table_type" if is_meant("iceberg") => continue,
            "is_external" if is_meant("false") => continue,
            "table_type" | "is_external" => {
                let error = Error::new(MEANING, format!("{name} = '{value}': only Iceberg tables can be made here"));
                return Err(error.with_help("'table_type' = 'ICEBERG'"));
            }
            "format" if !is_meant("parquet") => {
                let error = Error::new(MEANING, format!("format = '{value}': tables here are of Parquet files"));
                return Err(error.with_help("'format' = 'PARQUET'"));
            }
            _ => {}
        }
        match PROPERTIES.iter().find(|(known, _)| *known == name) {
            Some((_, iceberg)) => properties.insert((*iceberg).to_owned(), value.to_lowercase()),
            None => {
                let known: Vec<&str> = PROPERTIES.iter().map(|(known, _)| *known).collect();
                let error = Error::new(MEANING, format!("{name} is no property of a table"));
                return Err(error.with_help(known.join(", ")));
            }
        };
    }
    Ok(properties)
}

fn partition_spec(schema: &Schema, fields: &[String]) -> Result<UnboundPartitionSpec> {
    let mut spec = UnboundPartitionSpec::builder();
    for text in fields {
        let refused = || {
            let error = Error::new(MEANING, format!("{text} is no way to partition a table"));
            error.with_help("a column, or year, month, day, hour, bucket(16, column), truncate(4, column)")
        };
        let (function, column) = match text.trim().strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((function, arguments)) => (function.trim().to_lowercase(), arguments),
            None => ("identity".to_owned(), text.as_str()),
        };
        // Athena has the number first, Iceberg's own spelling last.
        let arguments: Vec<&str> = column.split(',').map(str::trim).collect();
        let number = arguments.iter().find_map(|argument| argument.parse::<u32>().ok());
        let column = arguments.iter().find(|argument| argument.parse::<u32>().is_err()).ok_or_else(refused)?;
        let column = column.trim_matches(['`', '"']).to_lowercase();
        let transform = match (function.as_str(), number) {
            ("identity", None) => Transform::Identity,
            ("year" | "years", None) => Transform::Year,
            ("month" | "months", None) => Transform::Month,
            ("day" | "days" | "date", None) => Transform::Day,
            ("hour" | "hours", None) => Transform::Hour,
            ("bucket", Some(number)) => Transform::Bucket(number),
            ("truncate", Some(number)) => Transform::Truncate(number),
            _ => return Err(refused()),
        };
        let source = schema.field_by_name(&column);
        let source = source.ok_or_else(|| Error::new(NO_SUCH_COLUMN, format!("no column {column} to partition by")))?;
        let name = match &transform {
            Transform::Identity => column.clone(),
            _ => format!("{column}_{}", function.trim_end_matches('s')),
        };
        let added = spec.add_partition_field(source.id, name, transform);
        spec = added.map_err(|error| Error::new(MEANING, format!("partition by {text}: {error}")))?;
    }
    Ok(spec.build())
}
