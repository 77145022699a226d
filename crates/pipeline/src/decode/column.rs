//! One Arrow column under construction. Unlike Arrow's own builders it can be cut back to an earlier length, so that a
//! record is converted once, straight into the columns, and a rejected one leaves nothing behind.

use arrow::array::{ArrayRef, NullBufferBuilder};
use arrow::datatypes::DataType;

use crate::decode::misfit::Misfit;
use crate::decode::scalar;
use crate::decode::text;
use crate::decode::value::Value;
use crate::decode::values::Values;
use crate::shape::Fit;

pub(crate) struct Column {
    validity: NullBufferBuilder,
    values: Values,
    len: usize,
    fit: Fit,
}

impl Column {
    /// `None` where no attribute can fill a column of this type.
    pub fn new(data_type: &DataType, fit: Fit) -> Option<Self> {
        Some(Self { validity: NullBufferBuilder::new(0), values: Values::new(data_type, fit)?, len: 0, fit })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a value that stands `depth` maps and lists below its item. On an error the column may hold a part of it:
    /// cut it back.
    pub fn push(&mut self, value: &Value<'_>, depth: usize) -> Result<(), Misfit> {
        match (&mut self.values, value) {
            (Values::Text(strings), Value::S(text)) => strings.push(text.as_bytes()),
            (Values::Long(values), Value::N(text)) => values.push(scalar::long(text)?),
            (Values::Int(values), Value::N(text)) => values.push(scalar::int(text)?),
            (Values::Decimal { units, precision, scale }, Value::N(text)) => {
                units.push(scalar::decimal(text, *precision, *scale)?);
            }
            (_, Value::Null) => {
                self.push_null();
                return Ok(());
            }
            (Values::Date(days), Value::S(text)) => days.push(scalar::date(text)?),
            (Values::Boolean(values), Value::Bool(value)) => values.append(*value),
            (Values::Double(values), Value::N(text)) => values.push(scalar::double(text)?),
            (Values::Float(values), Value::N(text)) => values.push(scalar::double(text)? as f32),
            (Values::Timestamp { us, zone: Some(_) }, Value::S(text)) => us.push(scalar::instant(text)?),
            (Values::Timestamp { us, zone: None }, Value::S(text)) => us.push(scalar::local_time(text)?),
            (Values::Timestamp { us, .. }, Value::N(text)) if self.fit == Fit::Plain => us.push(scalar::long(text)?),
            (Values::Binary(strings), Value::B(text)) => strings.push_with(|bytes| scalar::base64(text, bytes))?,
            (Values::Struct(column), Value::M(members)) => column.push(members.clone(), depth + 1)?,
            (Values::Map(column), Value::M(members)) => column.push(members.clone(), depth + 1)?,
            (Values::List(column), Value::L(elements)) => column.push(elements.clone(), depth + 1)?,
            (Values::List(column), Value::Set(of, elements)) => column.push_set(*of, elements.clone(), depth)?,
            (Values::Text(strings), other) if self.fit.text_takes_all() => {
                strings.push_with(|bytes| text::write(other, depth, bytes))?;
            }
            _ => return Err(Misfit::WrongType(value.tag())),
        }
        self.count();
        Ok(())
    }

    /// Counts a value that was added.
    fn count(&mut self) {
        self.validity.append_non_null();
        self.len += 1;
    }

    /// Adds text that is no attribute's. The column is one of text.
    pub fn push_text(&mut self, text: &str) {
        if let Values::Text(strings) = &mut self.values {
            strings.push(text.as_bytes());
            self.count();
        }
    }

    /// Adds a time that is no attribute's. The column is one of timestamps.
    pub fn push_time(&mut self, time_us: i64) {
        if let Values::Timestamp { us, .. } = &mut self.values {
            us.push(time_us);
            self.count();
        }
    }

    pub fn push_null(&mut self) {
        self.values.push_filler();
        self.validity.append_null();
        self.len += 1;
    }

    /// Cuts the column back to its first `len` values, and removes what a failed push left.
    pub fn truncate(&mut self, len: usize) {
        self.validity.truncate(len);
        self.len = self.len.min(len);
        self.values.truncate(len);
    }

    /// Gives what was pushed as an array, and starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        let len = std::mem::take(&mut self.len);
        let nulls = self.validity.finish();
        self.values.finish(len, nulls)
    }
}
