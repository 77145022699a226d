//! Records of plain JSON as the rows of one Parquet file.

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::change::{Operation, Position, RawRecord, SequenceNumber, ShardId};
use crate::decode::Decoder;
use crate::error::{Error, ErrorKind, Result};
use crate::plain::change_of;
use crate::shape::{Mode, TableShape};

/// What records were made into.
#[derive(Clone, Debug)]
pub struct ParquetRows {
    /// `None` where there are no rows.
    pub file: Option<Bytes>,
    /// Which records are no rows, by their places, and why.
    pub rejected: Vec<(usize, String)>,
}

/// Makes a file of JSON objects, each a row of `schema`: members go to columns of their name, in any case; what has no
/// column is left out. `Misconfigured` where a column has a type that no JSON fits.
pub fn to_parquet(schema: SchemaRef, records: &[Bytes], is_snappy: bool) -> Result<ParquetRows> {
    let mut shape = TableShape::from_table(schema, Vec::new(), Mode::Mirror, false);
    shape.attributes = shape.schema.fields().iter().map(|field| Some(field.name().clone())).collect();
    let mut rejected = Vec::new();
    let mut changes = Vec::with_capacity(records.len());
    for (place, record) in records.iter().enumerate() {
        match change_of(Operation::Insert, &[], record) {
            Ok(json) => {
                let sequence_number = SequenceNumber::parse(&place.to_string()).expect("a place is written in digits");
                let position = Position { shard: ShardId::new("records"), sequence_number, part: 0 };
                changes.push(RawRecord { position, json });
            }
            Err(reason) => rejected.push((place, reason)),
        }
    }
    let decoded = Decoder::new(&shape)?.decode(&changes);
    for letter in decoded.rejected {
        let place = letter.record.position.sequence_number.as_str().parse();
        rejected.push((place.expect("it was made of a place"), letter.reason));
    }
    rejected.sort();
    let rows = decoded.changes.rows;
    if rows.num_rows() == 0 {
        return Ok(ParquetRows { file: None, rejected });
    }
    let failed = |error| Error::new(ErrorKind::Unexpected, "write a Parquet file").with_source(error);
    let compression = if is_snappy { Compression::SNAPPY } else { Compression::UNCOMPRESSED };
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).map_err(failed)?;
    writer.write(&rows).map_err(failed)?;
    let file = writer.into_inner().map_err(failed)?;
    Ok(ParquetRows { file: Some(file.into()), rejected })
}
