//! Places on a Z-curve: rows that are near each other in several columns come near each other.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder};
use arrow::compute::cast;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;

use crate::error::{Error, ErrorKind, Result};
use crate::scan::{LakeTable, PlannedFile};

/// A curve through some columns of a table. Of each value it takes 64 bits, behind those that all values share.
pub(crate) struct ZCurve {
    columns: Vec<ZColumn>,
}

struct ZColumn {
    index: usize,
    /// Turns values into bytes that have their order.
    converter: RowConverter,
    shared_bits: usize,
}

impl ZCurve {
    /// A curve for values that lie as the manifests say of `files`.
    pub fn new(lake: &LakeTable, columns: impl Iterator<Item = usize>, files: &[PlannedFile]) -> Result<Self> {
        let schema = datafusion::catalog::TableProvider::schema(lake);
        let columns = columns.map(|index| {
            let data_type = schema.field(index).data_type().clone();
            let converter = RowConverter::new(vec![SortField::new(data_type)]).map_err(failed)?;
            let mut column = ZColumn { index, converter, shared_bits: 0 };
            if let Some((min, max)) = lake.column_bounds(index, files) {
                column.shared_bits = shared_bits(&column.bytes_of(&min, &schema)?, &column.bytes_of(&max, &schema)?);
            }
            Ok(column)
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }

    /// The place of each row, as bytes.
    pub fn of(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let mut values = vec![0; batch.num_rows() * self.columns.len()];
        for (number, column) in self.columns.iter().enumerate() {
            let rows = column.converter.convert_columns(&[batch.column(column.index).clone()]).map_err(failed)?;
            for (index, row) in rows.iter().enumerate() {
                values[index * self.columns.len() + number] = bits_behind(row.as_ref(), column.shared_bits);
            }
        }
        let mut places = BinaryBuilder::with_capacity(batch.num_rows(), values.len() * 8);
        for row in values.chunks(self.columns.len()) {
            places.append_value(interleaved(row));
        }
        Ok(Arc::new(places.finish()))
    }
}

impl ZColumn {
    fn bytes_of(&self, value: &ScalarValue, schema: &arrow::datatypes::SchemaRef) -> Result<Vec<u8>> {
        let array = value.to_array().map_err(|error| failed(error.into()))?;
        let array = cast(&array, schema.field(self.index).data_type()).map_err(failed)?;
        let rows = self.converter.convert_columns(&[array]).map_err(failed)?;
        Ok(rows.row(0).as_ref().to_vec())
    }
}

fn failed(error: ArrowError) -> Error {
    Error::new(ErrorKind::Unexpected, "place rows on a curve").with_source(error)
}

/// How many bits from the left two values, and so all between them, have in common.
fn shared_bits(low: &[u8], high: &[u8]) -> usize {
    let shared = low.iter().zip(high).take_while(|(low, high)| low == high).count();
    let within = low.get(shared).zip(high.get(shared)).map_or(0, |(low, high)| (low ^ high).leading_zeros());
    shared * 8 + within as usize
}

/// The 64 bits behind the first `skipped`.
fn bits_behind(bytes: &[u8], skipped: usize) -> u64 {
    let byte = |index: usize| u128::from(bytes.get(skipped / 8 + index).copied().unwrap_or(0));
    let nine = (0..9).fold(0, |all, index| all << 8 | byte(index));
    (nine >> (8 - skipped % 8)) as u64
}

/// The highest bit of each value, then the next of each.
fn interleaved(values: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * 8];
    let mut next = 0;
    for bit in (0..64).rev() {
        for value in values {
            bytes[next / 8] |= ((value >> bit & 1) as u8) << (7 - next % 8);
            next += 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_behind_those_that_all_values_share() {
        assert_eq!(shared_bits(&[1, 0b1010_0000], &[1, 0b1011_0000]), 11);
        assert_eq!(shared_bits(&[1, 2], &[1, 2]), 16);
        assert_eq!(bits_behind(&[0xff, 0x12, 0x34], 8), 0x1234 << 48);
        assert_eq!(bits_behind(&[0xff, 0x12, 0x34], 12), 0x234 << 52);
        assert_eq!(bits_behind(&[0xff], 64), 0);
    }

    #[test]
    fn values_take_turns_bit_by_bit() {
        let curve = |x: u64, y: u64| interleaved(&[x << 62, y << 62])[0] >> 4;
        let places: Vec<u8> = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (3, 3)].map(|(x, y)| curve(x, y)).to_vec();
        assert_eq!(places, [0b0000, 0b0001, 0b0010, 0b0011, 0b0100, 0b1111]);
    }
}
