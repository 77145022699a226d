//! Records that the Kinesis Producer Library put into one: a magic number, a protobuf message, and its MD5.
//!
//! <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>

use bytes::Bytes;
use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// `repeated Record records = 3` of the message, and `bytes data = 3` of a record.
const RECORDS_FIELD: u64 = 3;
const DATA_FIELD: u64 = 3;

/// The data of each record within `data`. What is no aggregate, or a damaged one, is a single record as it is.
pub(crate) fn split(data: &Bytes) -> Vec<Bytes> {
    read(data).unwrap_or_else(|| vec![data.clone()])
}

fn read(data: &Bytes) -> Option<Vec<Bytes>> {
    let message = data.strip_prefix(&MAGIC)?;
    let (message, digest) = message.split_at_checked(message.len().checked_sub(DIGEST_BYTES)?)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let records = fields(message, RECORDS_FIELD)?;
    records.into_iter().map(|record| Some(data.slice_ref(fields(record, DATA_FIELD)?.pop()?))).collect()
}

/// The values of a length-delimited field of a protobuf message; nothing where it cannot be read.
fn fields(mut message: &[u8], wanted: u64) -> Option<Vec<&[u8]>> {
    let mut values = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                message = rest;
                if tag >> 3 == wanted {
                    values.push(value);
                }
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(values)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(parts: &[&[u8]]) -> Vec<u8> {
        let mut message = vec![0x0a, 1, b'k'];
        for part in parts {
            let mut record = vec![0x08, 0, 0x1a, part.len() as u8];
            record.extend_from_slice(part);
            message.extend_from_slice(&[0x1a, record.len() as u8]);
            message.extend_from_slice(&record);
        }
        let digest = Md5::digest(&message);
        [&MAGIC[..], &message, &digest[..]].concat()
    }

    #[test]
    fn an_aggregate_is_split_into_its_records() {
        let data = Bytes::from(aggregate(&[b"{}", b"", b"[1]"]));
        assert_eq!(split(&data), [&b"{}"[..], b"", b"[1]"]);
    }

    #[test]
    fn what_is_no_aggregate_or_a_damaged_one_stays_whole() {
        let mut damaged = aggregate(&[b"{}"]);
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        for data in [b"{}".to_vec(), MAGIC.to_vec(), damaged, aggregate(&[b"{}"])[..10].to_vec()] {
            assert_eq!(split(&Bytes::from(data.clone())), [Bytes::from(data)]);
        }
    }
}
