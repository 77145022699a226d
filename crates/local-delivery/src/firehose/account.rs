//! How many records of a delivery stream are where.

use crate::firehose::Firehose;
use crate::firehose::error::Result;

/// Counts since the delivery stream was made. `received = delivered + dropped + failed + buffered`, always: the five are
/// read in one transaction, and each record moves in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirehoseAccount {
    pub name: String,
    /// Whether it delivers to Iceberg tables, and not to objects.
    pub is_iceberg: bool,
    pub received: u64,
    pub received_bytes: u64,
    pub delivered: u64,
    pub delivered_bytes: u64,
    /// By a function, on purpose.
    pub dropped: u64,
    /// In error objects, or about to be.
    pub failed: u64,
    pub buffered: u64,
    /// When the oldest record arrived that is not delivered yet.
    pub oldest_ms: Option<i64>,
    /// What keeps one of its tables from taking records.
    pub problem: Option<String>,
}

impl Firehose {
    pub async fn accounts(&self) -> Result<Vec<FirehoseAccount>> {
        let read = self.store.run(|connection| {
            let sql = "SELECT name, document LIKE '%\"Iceberg\":%', received, received_bytes, dropped, failed,
                         (SELECT coalesce(sum(delivered), 0) FROM lane WHERE stream = number_),
                         (SELECT coalesce(sum(delivered_bytes), 0) FROM lane WHERE stream = number_),
                         (SELECT count(*) FROM record WHERE stream = number_ AND number > settled) +
                           (SELECT count(*) FROM routed JOIN lane ON lane.number = routed.lane
                            WHERE lane.stream = number_ AND lane.kind <> 'backup') -
                           (SELECT count(*) FROM refused WHERE stream = number_),
                         (SELECT min(arrived_at) FROM record WHERE stream = number_ AND (number > settled OR number =
                           (SELECT min(routed.record) FROM routed JOIN lane ON lane.number = routed.lane
                            WHERE lane.stream = number_ AND lane.kind <> 'backup'))),
                         (SELECT min(problem) FROM lane WHERE stream = number_)
                       FROM (SELECT number AS number_, * FROM delivery_stream) ORDER BY number_";
            let mut statement = connection.prepare_cached(sql)?;
            let count = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            let accounts = statement.query_map([], |row| {
                Ok(FirehoseAccount {
                    name: row.get(0)?,
                    is_iceberg: row.get(1)?,
                    received: count(row, 2)?,
                    received_bytes: count(row, 3)?,
                    dropped: count(row, 4)?,
                    failed: count(row, 5)?,
                    delivered: count(row, 6)?,
                    delivered_bytes: count(row, 7)?,
                    buffered: count(row, 8)?,
                    oldest_ms: row.get(9)?,
                    problem: row.get(10)?,
                })
            })?;
            Ok(accounts.collect::<rusqlite::Result<_>>()?)
        });
        read.await
    }

    /// The number of the last record that the delivery streams of this name have taken, 0 without one; `None` where there
    /// is no such delivery stream.
    pub async fn last_taken(&self, name: &str) -> Result<Option<i64>> {
        let name = name.to_owned();
        let read = self.store.run(move |connection| {
            let sql = "SELECT max(coalesce((SELECT max(number) FROM record WHERE stream = s.number), 0),
                                  coalesce((SELECT max(record) FROM failure WHERE stream = s.number), 0))
                       FROM delivery_stream s WHERE name = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let numbers = statement.query_map([name], |row| row.get(0))?;
            Ok(numbers.collect::<rusqlite::Result<Vec<i64>>>()?)
        });
        Ok(read.await?.into_iter().max())
    }

    /// Whether every record up to this number is delivered, dropped or in an error object.
    pub async fn has_let_go(&self, name: &str, up_to: i64) -> Result<bool> {
        let name = name.to_owned();
        let read = self.store.run(move |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM record JOIN delivery_stream s ON s.number = record.stream
                                      WHERE s.name = ?1 AND record.number <= ?2)
                           OR EXISTS (SELECT 1 FROM failure JOIN delivery_stream s ON s.number = failure.stream
                                      WHERE s.name = ?1 AND failure.record <= ?2)";
            let holds: bool = connection.prepare_cached(sql)?.query_row((name, up_to), |row| row.get(0))?;
            Ok(!holds)
        });
        read.await
    }
}
