//! From raw records to changes of the table: decoding, and the SQL of a transform where there is one.

use std::sync::Arc;

use crate::change::RawRecord;
use crate::decode::{Decoded, Decoder};
use crate::error::Result;
use crate::shape::TableShape;
use crate::sql::{Bound, SqlTransform};

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
}
