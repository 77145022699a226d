//! The bytes of the list's log.

use iceberg::spec::{Literal, PrimitiveLiteral};
use xxhash_rust::xxh3::xxh3_64;

use crate::key_index::IndexedFile;

pub(super) const ADDED: u8 = 1;
pub(super) const REMOVED: u8 = 2;

/// Length, checksum, content.
pub(super) fn append_record(log: &mut Vec<u8>, record: &[u8]) {
    log.extend((record.len() as u32).to_le_bytes());
    log.extend(xxh3_64(record).to_le_bytes());
    log.extend(record);
}

pub(super) fn split_record(log: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, log) = log.split_first_chunk()?;
    let (checksum, log) = log.split_first_chunk()?;
    let (record, rest) = log.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    (xxh3_64(record).to_le_bytes() == *checksum).then_some((record, rest))
}

pub(super) fn added_record(id: u32, file: &IndexedFile) -> Vec<u8> {
    let mut record = vec![ADDED];
    record.extend(id.to_le_bytes());
    record.extend(file.spec_id.to_le_bytes());
    append_bytes(&mut record, file.path.as_bytes());
    for value in file.partition.iter() {
        encode_value(&mut record, value);
    }
    record
}

pub(super) fn decode_file(record: &[u8]) -> Option<IndexedFile> {
    let (spec_id, record) = record.split_first_chunk()?;
    let (path, mut record) = split_bytes(record)?;
    let mut values = Vec::new();
    while !record.is_empty() {
        let (value, rest) = decode_value(record)?;
        values.push(value);
        record = rest;
    }
    Some(IndexedFile {
        path: String::from_utf8(path.to_owned()).ok()?,
        spec_id: i32::from_le_bytes(*spec_id),
        partition: values.into_iter().collect(),
    })
}

/// A partition value is a primitive or null. Its kind, then its bytes.
fn encode_value(record: &mut Vec<u8>, value: Option<&Literal>) {
    let (kind, bytes): (u8, Vec<u8>) = match value {
        None => (0, Vec::new()),
        Some(Literal::Primitive(primitive)) => match primitive {
            PrimitiveLiteral::Boolean(value) => (1, vec![u8::from(*value)]),
            PrimitiveLiteral::Int(value) => (2, value.to_le_bytes().into()),
            PrimitiveLiteral::Long(value) => (3, value.to_le_bytes().into()),
            PrimitiveLiteral::Float(value) => (4, value.to_le_bytes().into()),
            PrimitiveLiteral::Double(value) => (5, value.to_le_bytes().into()),
            PrimitiveLiteral::String(value) => (6, value.as_bytes().into()),
            PrimitiveLiteral::Binary(value) => (7, value.clone()),
            PrimitiveLiteral::Int128(value) => (8, value.to_le_bytes().into()),
            PrimitiveLiteral::UInt128(value) => (9, value.to_le_bytes().into()),
            PrimitiveLiteral::AboveMax | PrimitiveLiteral::BelowMin => unreachable!("no row has such a value"),
        },
        Some(_) => unreachable!("a partition value is a primitive"),
    };
    record.push(kind);
    append_bytes(record, &bytes);
}

fn decode_value(record: &[u8]) -> Option<(Option<Literal>, &[u8])> {
    let (&kind, record) = record.split_first()?;
    let (bytes, rest) = split_bytes(record)?;
    let literal = match kind {
        0 => return Some((None, rest)),
        1 => PrimitiveLiteral::Boolean(bytes == [1]),
        2 => PrimitiveLiteral::Int(i32::from_le_bytes(bytes.try_into().ok()?)),
        3 => PrimitiveLiteral::Long(i64::from_le_bytes(bytes.try_into().ok()?)),
        4 => return Some((Some(Literal::float(f32::from_le_bytes(bytes.try_into().ok()?))), rest)),
        5 => return Some((Some(Literal::double(f64::from_le_bytes(bytes.try_into().ok()?))), rest)),
        6 => PrimitiveLiteral::String(String::from_utf8(bytes.to_owned()).ok()?),
        7 => PrimitiveLiteral::Binary(bytes.to_owned()),
        8 => PrimitiveLiteral::Int128(i128::from_le_bytes(bytes.try_into().ok()?)),
        9 => PrimitiveLiteral::UInt128(u128::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    };
    Some((Some(Literal::Primitive(literal)), rest))
}

fn append_bytes(record: &mut Vec<u8>, bytes: &[u8]) {
    record.extend((bytes.len() as u32).to_le_bytes());
    record.extend(bytes);
}

fn split_bytes(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, record) = record.split_first_chunk()?;
    record.split_at_checked(u32::from_le_bytes(*length) as usize)
}
