//! Ends a query that reads more than it may.

use std::time::Duration;

use crate::error::{Error, READ_LIMIT, Result};
use crate::rows::Meter;

/// How often a query that is waited for is held against its limit.
const CHECKED_EVERY: Duration = Duration::from_millis(50);

/// Bytes of data files that a query may read; as many as it likes if `None`.
#[derive(Clone, Copy, Default)]
pub(crate) struct ReadLimit(pub Option<u64>);

impl ReadLimit {
    pub(crate) fn check(self, meter: &Meter) -> Result<()> {
        let Some(bytes_max) = self.0 else { return Ok(()) };
        match meter.bytes_read() {
            bytes if bytes > bytes_max => Err(Error::new(
                READ_LIMIT,
                format!("Bytes scanned limit was exceeded: the query had read {bytes} bytes, and may read {bytes_max}"),
            )
            .with_help("fewer columns, or a WHERE on the columns that the table is partitioned by")),
            _ => Ok(()),
        }
    }

    /// Waits until more was read than may be; for ever, where that does not happen.
    pub(crate) async fn exceeded(self, meter: &Meter) -> Error {
        if self.0.is_none() {
            return std::future::pending().await;
        }
        let mut looks = tokio::time::interval(CHECKED_EVERY);
        loop {
            looks.tick().await;
            if let Err(error) = self.check(meter) {
                return error;
            }
        }
    }
}
