//! The values of a column under construction, by Arrow type, without their validity.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, TimeUnit};

use crate::decode::map::MapColumn;
use crate::decode::misfit::Misfit;
use crate::decode::nested::{ListColumn, StructColumn};
use crate::shape::Fit;

pub(crate) enum Values {
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal { units: Vec<i128>, precision: u8, scale: i8 },
    Boolean(BooleanBufferBuilder),
    Date(Vec<i32>),
    Timestamp { us: Vec<i64>, zone: Option<Arc<str>> },
    Text(ByteStrings),
    Binary(ByteStrings),
    Struct(StructColumn),
    List(ListColumn),
    Map(MapColumn),
}

impl Values {
    pub fn new(data_type: &DataType, fit: Fit) -> Option<Self> {
        Some(match data_type {
            DataType::Int32 => Self::Int(Vec::new()),
            DataType::Int64 => Self::Long(Vec::new()),
            DataType::Float32 => Self::Float(Vec::new()),
            DataType::Float64 => Self::Double(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Self::Decimal { units: Vec::new(), precision: *precision, scale: *scale }
            }
            DataType::Boolean => Self::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Date32 => Self::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Self::Timestamp { us: Vec::new(), zone: zone.clone() },
            DataType::Utf8 => Self::Text(ByteStrings::default()),
            DataType::LargeUtf8 => Self::Text(ByteStrings { large: true, ..ByteStrings::default() }),
            DataType::Binary => Self::Binary(ByteStrings::default()),
            DataType::LargeBinary => Self::Binary(ByteStrings { large: true, ..ByteStrings::default() }),
            DataType::Struct(fields) => Self::Struct(StructColumn::new(fields, fit)?),
            DataType::List(element) => Self::List(ListColumn::new(element, fit)?),
            DataType::Map(entries, sorted) => Self::Map(MapColumn::new(entries, *sorted, fit)?),
            _ => return None,
        })
    }

    /// Adds what stands under a null.
    pub fn push_filler(&mut self) {
        match self {
            Self::Int(values) | Self::Date(values) => values.push(0),
            Self::Long(values) | Self::Timestamp { us: values, .. } => values.push(0),
            Self::Float(values) => values.push(0.0),
            Self::Double(values) => values.push(0.0),
            Self::Decimal { units, .. } => units.push(0),
            Self::Boolean(values) => values.append(false),
            Self::Text(strings) | Self::Binary(strings) => strings.push(b""),
            Self::Struct(column) => column.push_filler(),
            Self::List(column) => column.push_empty(),
            Self::Map(column) => column.push_empty(),
        }
    }

    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Int(values) | Self::Date(values) => values.truncate(len),
            Self::Long(values) | Self::Timestamp { us: values, .. } => values.truncate(len),
            Self::Float(values) => values.truncate(len),
            Self::Double(values) => values.truncate(len),
            Self::Decimal { units, .. } => units.truncate(len),
            Self::Boolean(values) => values.truncate(len),
            Self::Text(strings) | Self::Binary(strings) => strings.truncate(len),
            Self::Struct(column) => column.truncate(len),
            Self::List(column) => column.truncate(len),
            Self::Map(column) => column.truncate(len),
        }
    }

    /// Gives the `len` values as an array, and starts anew.
    pub fn finish(&mut self, len: usize, nulls: Option<NullBuffer>) -> ArrayRef {
        match self {
            Self::Int(values) => Arc::new(Int32Array::new(taken(values), nulls)),
            Self::Long(values) => Arc::new(Int64Array::new(taken(values), nulls)),
            Self::Float(values) => Arc::new(Float32Array::new(taken(values), nulls)),
            Self::Double(values) => Arc::new(Float64Array::new(taken(values), nulls)),
            Self::Decimal { units, precision, scale } => {
                let array = Decimal128Array::new(taken(units), nulls);
                let data_type = DataType::Decimal128(*precision, *scale);
                Arc::new(array.with_data_type(data_type))
            }
            Self::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Self::Date(values) => Arc::new(Date32Array::new(taken(values), nulls)),
            Self::Timestamp { us, zone } => {
                Arc::new(TimestampMicrosecondArray::new(taken(us), nulls).with_timezone_opt(zone.clone()))
            }
            Self::Text(strings) if strings.large => {
                let (offsets, bytes) = strings.take_large();
                Arc::new(LargeStringArray::new(offsets, bytes, nulls))
            }
            Self::Text(strings) => {
                let (offsets, bytes) = strings.take();
                Arc::new(StringArray::new(offsets, bytes, nulls))
            }
            Self::Binary(strings) if strings.large => {
                let (offsets, bytes) = strings.take_large();
                Arc::new(LargeBinaryArray::new(offsets, bytes, nulls))
            }
            Self::Binary(strings) => {
                let (offsets, bytes) = strings.take();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Self::Struct(column) => column.finish(len, nulls),
            Self::List(column) => column.finish(nulls),
            Self::Map(column) => column.finish(nulls),
        }
    }
}

/// Byte strings one behind the other, with the end of each. What one poll gave is far below 2 GiB.
#[derive(Default)]
pub(crate) struct ByteStrings {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    large: bool,
}

impl ByteStrings {
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as i32);
    }

    /// Adds what `write` appends.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Misfit>) -> Result<(), Misfit> {
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len() as i32);
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends.drain(..)).collect();
        (OffsetBuffer::new(offsets.into()), Buffer::from_vec(emptied(&mut self.bytes)))
    }

    fn take_large(&mut self) -> (OffsetBuffer<i64>, Buffer) {
        let offsets: Vec<i64> = std::iter::once(0).chain(self.ends.drain(..).map(i64::from)).collect();
        (OffsetBuffer::new(offsets.into()), Buffer::from_vec(emptied(&mut self.bytes)))
    }
}

fn taken<T: ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    emptied(values).into()
}

/// Takes the values out and leaves room for as many: batches tend to be alike.
fn emptied<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}
