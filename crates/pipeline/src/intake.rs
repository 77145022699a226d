//! From raw records to changes of the table: decoding, and the SQL of a transform where there is one.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::change::{Position, RawRecord};
use crate::dead_letter::DeadLetter;
use crate::decode::{Decoded, Decoder};
use crate::error::Result;
use crate::item_key::hash_keys;
use crate::shape::TableShape;
use crate::sql::{Bound, SqlTransform};
use crate::transform::keys_of;

/// Takes records in, for one table as its columns are now.
pub struct Intake {
    decoder: Decoder,
    sql: Option<Bound>,
}

impl Intake {
    /// Without a transform every attribute goes to its own column. Fails as `Misconfigured` where the table cannot hold
    /// what comes.
    pub fn new(sql: Option<&Arc<SqlTransform>>, table: &TableShape) -> Result<Self> {
        Ok(match sql {
            None => Self { decoder: Decoder::new(table)?, sql: None },
            Some(sql) => Self { decoder: Decoder::new(sql.input())?, sql: Some(Bound::new(sql, table)?) },
        })
    }

    /// Each record becomes a change or a letter, on its own.
    pub fn take(&mut self, records: &[RawRecord]) -> Decoded {
        let decoded = self.decoder.decode(records);
        match &self.sql {
            None => decoded,
            Some(sql) => sql.apply(decoded, records),
        }
    }

    /// The hash of the key, in the mirror that rows go to, of each rejected record's item; `None` where the record does
    /// not tell it. What was wrong with the other attributes does not matter.
    pub(crate) fn keys_of(&mut self, table: &TableShape, letters: &[DeadLetter]) -> Vec<Option<u128>> {
        let removals: Vec<RawRecord> = letters.iter().filter_map(|letter| removal(&letter.record)).collect();
        let decoded = self.take(&removals);
        if decoded.changes.operations.is_empty() {
            return vec![None; letters.len()];
        }
        let hashes = hash_keys(keys_of(table, &decoded.changes.rows).columns());
        let hash_of: HashMap<&Position, u128> = decoded.changes.positions.iter().zip(hashes).collect();
        letters.iter().map(|letter| hash_of.get(letter.position()).copied()).collect()
    }
}

/// A record that removes the item which `record` is of.
fn removal(record: &RawRecord) -> Option<RawRecord> {
    #[derive(serde::Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        dynamodb: Change<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Change<'a> {
        #[serde(borrow, rename = "Keys")]
        keys: &'a RawValue,
    }
    let parsed: Record<'_> = serde_json::from_slice(&record.json).ok()?;
    let json = format!(r#"{{"eventName":"REMOVE","dynamodb":{{"Keys":{}}}}}"#, parsed.dynamodb.keys);
    Some(RawRecord { position: record.position.clone(), json: Bytes::from(json) })
}
