//! How Parquet files are written: our defaults, and what the table's properties ask for.

use std::collections::HashMap;
use std::str::FromStr;

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::error::{Error, ErrorKind, Result};

/// zstd-1 costs no more time than snappy here and saves a third of the bytes.
const ZSTD_LEVEL: i32 = 1;
const FEW_ROWS: usize = 2_048;

/// The settings of every file: zstd, dictionaries, statistics, large row groups.
pub(crate) fn defaults() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(zstd(ZSTD_LEVEL).expect("zstd has a level 1"))
        .set_created_by(concat!("dynaberg ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// `settings` for a file of so many rows. Where they are few, making zstd's work space for every column and an index of
/// pages that are one takes longer than the rows do, for the writer and for each reader; they wait for compaction.
pub(crate) fn for_rows(settings: WriterProperties, rows: usize) -> WriterProperties {
    if rows >= FEW_ROWS {
        return settings;
    }
    let default = zstd(ZSTD_LEVEL).expect("zstd has a level 1");
    let any_column = ColumnPath::new(Vec::new());
    let compression = match settings.compression(&any_column) {
        compression if compression == default => Compression::SNAPPY,
        asked_for => asked_for,
    };
    settings
        .into_builder()
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build()
}

/// The settings of a table with these properties. `Refused` where one has a value that cannot be.
///
/// See <https://iceberg.apache.org/docs/latest/configuration/#write-properties>.
pub(crate) fn of_table(properties: &HashMap<String, String>) -> Result<WriterProperties> {
    let mut settings = defaults();
    let level = number(properties, "write.parquet.compression-level")?;
    settings = match properties.get("write.parquet.compression-codec").map(String::as_str) {
        Some("uncompressed") => settings.set_compression(Compression::UNCOMPRESSED),
        Some("snappy") => settings.set_compression(Compression::SNAPPY),
        // The other codecs are bigger or slower, or both; a reader finds the codec in the file, so zstd serves as well.
        _ => settings.set_compression(zstd(level.unwrap_or(ZSTD_LEVEL))?),
    };
    if let Some(bytes) = number(properties, "write.parquet.row-group-size-bytes")? {
        settings = settings.set_max_row_group_bytes(Some(bytes));
    }
    if let Some(bytes) = number(properties, "write.parquet.page-size-bytes")? {
        settings = settings.set_data_page_size_limit(bytes);
    }
    if let Some(rows) = number(properties, "write.parquet.page-row-limit")? {
        settings = settings.set_data_page_row_count_limit(rows);
    }
    if let Some(bytes) = number(properties, "write.parquet.dict-size-bytes")? {
        settings = settings.set_dictionary_page_size_limit(bytes);
    }
    for (name, value) in properties {
        if let Some(column) = name.strip_prefix("write.parquet.bloom-filter-enabled.column.") {
            let column = ColumnPath::new(column.split('.').map(str::to_owned).collect());
            settings = settings.set_column_bloom_filter_enabled(column, value == "true");
        }
    }
    Ok(settings.build())
}

fn zstd(level: i32) -> Result<Compression> {
    let level = ZstdLevel::try_new(level).map_err(|error| {
        Error::new(ErrorKind::Refused, format!("use zstd compression level {level}")).with_source(error)
    })?;
    Ok(Compression::ZSTD(level))
}

/// A property whose value is a number above zero.
fn number<T: FromStr + PartialOrd + Default>(properties: &HashMap<String, String>, name: &str) -> Result<Option<T>> {
    let Some(text) = properties.get(name) else { return Ok(None) };
    match text.parse::<T>() {
        Ok(number) if number > T::default() => Ok(Some(number)),
        _ => Err(Error::new(ErrorKind::Refused, format!("read table property {name}={text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Result<WriterProperties> {
        of_table(&properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_the_table_asks_for_is_what_it_gets() {
        let column = ColumnPath::from("id");
        let plain = settings(&[]).unwrap();
        assert_eq!(plain.compression(&column), zstd(1).unwrap());
        assert!(plain.bloom_filter_properties(&column).is_none());
        let asked = settings(&[
            ("write.parquet.compression-codec", "zstd"),
            ("write.parquet.compression-level", "3"),
            ("write.parquet.row-group-size-bytes", "1000"),
            ("write.parquet.page-size-bytes", "2000"),
            ("write.parquet.page-row-limit", "3000"),
            ("write.parquet.dict-size-bytes", "4000"),
            ("write.parquet.bloom-filter-enabled.column.id", "true"),
        ]);
        let asked = asked.unwrap();
        assert_eq!(asked.compression(&column), zstd(3).unwrap());
        assert_eq!(asked.max_row_group_bytes(), Some(1000));
        assert_eq!((asked.data_page_size_limit(), asked.data_page_row_count_limit()), (2000, 3000));
        assert_eq!(asked.dictionary_page_size_limit(), 4000);
        assert!(asked.bloom_filter_properties(&column).is_some());
        let snappy = settings(&[("write.parquet.compression-codec", "snappy")]).unwrap();
        assert_eq!(snappy.compression(&column), Compression::SNAPPY);
    }

    #[test]
    fn a_setting_that_cannot_be_is_refused() {
        for (name, value) in [
            ("write.parquet.row-group-size-bytes", "0"),
            ("write.parquet.page-size-bytes", "big"),
            ("write.parquet.compression-level", "99"),
        ] {
            assert_eq!(settings(&[(name, value)]).unwrap_err().kind(), ErrorKind::Refused, "{name}={value}");
        }
    }
}
