//! An external table as a statement defines it, in Hive's words.

use std::collections::BTreeMap;

/// What `CREATE EXTERNAL TABLE`, or `CREATE TABLE … AS` outside of the lake, says of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalDefinition {
    pub columns: Vec<ColumnDefinition>,
    pub partition_columns: Vec<ColumnDefinition>,
    pub comment: Option<String>,
    pub location: String,
    pub input_format: String,
    pub output_format: String,
    /// The class that reads rows.
    pub serde: String,
    pub serde_properties: BTreeMap<String, String>,
    /// TBLPROPERTIES
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefinition {
    pub name: String,
    /// As Hive spells it.
    pub type_name: String,
    pub comment: Option<String>,
}

/// A partition to add to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartition {
    /// By partition column, in lower case.
    pub values: Vec<(String, String)>,
    /// Under the table's own location, as `name=value/…`, where it is `None`.
    pub location: Option<String>,
}

/// What `STORED AS` says, and the class that reads it.
const FORMATS: [(&str, &str, &str, &str); 3] = [
    (
        "PARQUET",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    (
        "TEXTFILE",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    ),
    (
        "JSON",
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.openx.data.jsonserde.JsonSerDe",
    ),
];

impl ExternalDefinition {
    /// Takes a format by its name; `None` where it is none that we write and read.
    #[must_use]
    pub fn stored_as(mut self, name: &str) -> Option<Self> {
        let (_, input, output, serde) = FORMATS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        (self.input_format, self.output_format) = ((*input).to_owned(), (*output).to_owned());
        if self.serde.is_empty() {
            self.serde = (*serde).to_owned();
        }
        Some(self)
    }
}
