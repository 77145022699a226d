//! What DataFusion's planner may know of a scan.

use arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use crate::scan::LakeTable;
use crate::scan::bounds::{self, Bounds};
use crate::scan::snapshot_files::PlannedFile;

impl LakeTable {
    /// The number of rows is exact, and `count(*)` may be answered with it. All else is `Inexact`: a bound may be
    /// shortened or belong to a deleted row, and DataFusion puts exact values into answers.
    pub(super) fn statistics<'a>(
        &self,
        files: impl Iterator<Item = &'a PlannedFile> + Clone,
        projection: Option<&Vec<usize>>,
    ) -> Statistics {
        let rows: u64 = files.clone().map(PlannedFile::live_rows).sum();
        let bytes: u64 = files.clone().map(PlannedFile::size).sum();
        let mut statistics = Statistics::new_unknown(&self.columns.arrow);
        statistics.num_rows = Precision::Exact(rows as usize);
        statistics.total_byte_size = Precision::Inexact(bytes as usize);
        for (index, column) in statistics.column_statistics.iter_mut().enumerate() {
            let is_projected = projection.is_none_or(|projection| projection.contains(&index));
            let data_type = self.columns.arrow.field(index).data_type();
            if is_projected && !data_type.is_nested() {
                *column = self.column_statistics(files.clone(), self.columns.field_id(index), data_type);
            }
        }
        statistics
    }

    /// Between what values a column lies in all of `files`, where their manifests tell.
    pub(crate) fn column_bounds(&self, index: usize, files: &[PlannedFile]) -> Option<(ScalarValue, ScalarValue)> {
        let data_type = self.columns.arrow.field(index).data_type();
        let column = self.column_statistics(files.iter(), self.columns.field_id(index), data_type);
        column.min_value.get_value().cloned().zip(column.max_value.get_value().cloned())
    }

    fn column_statistics<'a>(
        &self,
        files: impl Iterator<Item = &'a PlannedFile>,
        field_id: i32,
        data_type: &DataType,
    ) -> ColumnStatistics {
        let mut all: Option<Bounds> = None;
        for file in files {
            let of_file = bounds::of_file(&file.entry, None, field_id, data_type);
            all = Some(match all {
                None => of_file,
                Some(all) => Bounds {
                    min: least(all.min, of_file.min),
                    max: greatest(all.max, of_file.max),
                    nulls: all.nulls.zip(of_file.nulls).map(|(one, other)| one + other),
                },
            });
        }
        let Bounds { min, max, nulls } = all.unwrap_or_default();
        ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, |nulls| Precision::Inexact(nulls as usize)),
            min_value: min.map_or(Precision::Absent, Precision::Inexact),
            max_value: max.map_or(Precision::Absent, Precision::Inexact),
            ..ColumnStatistics::new_unknown()
        }
    }
}

fn least(one: Option<ScalarValue>, other: Option<ScalarValue>) -> Option<ScalarValue> {
    one.zip(other).map(|(one, other)| if other < one { other } else { one })
}

fn greatest(one: Option<ScalarValue>, other: Option<ScalarValue>) -> Option<ScalarValue> {
    one.zip(other).map(|(one, other)| if other > one { other } else { one })
}
