//! Receipt handles: what a receiver deletes a message by, or keeps it hidden by.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, OptionalExtension as _};

use crate::sqs::error::{self, Result};
use crate::sqs::queue::Queue;

/// One receive of one message. Opaque to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub queue: i64,
    pub message: i64,
    /// Another one at each receive.
    pub token: String,
}

/// How the message of a receipt fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was deleted, has expired, or is with the dead letters.
    Gone,
    /// It was received again since.
    Outdated,
    /// Its receiver's time is up, and nobody has received it since.
    Visible,
    InFlight {
        received_at: i64,
    },
}

const MARK: &str = "dynaberg";

impl Receipt {
    /// The receipt that `handle` is, if it is one of `queue`.
    pub fn parse(handle: Option<&str>, queue: &Queue) -> Result<Self> {
        let handle = handle.filter(|handle| !handle.is_empty());
        let handle = handle.ok_or_else(|| error::missing_parameter("ReceiptHandle"))?;
        let receipt = Self::decode(handle).filter(|receipt| receipt.queue == queue.number);
        receipt.ok_or_else(|| error::receipt_handle_is_invalid(handle))
    }

    pub fn decode(handle: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(handle).ok()?).ok()?;
        let [mark, queue, message, token] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
        (mark == MARK).then_some(())?;
        Some(Self { queue: queue.parse().ok()?, message: message.parse().ok()?, token: token.to_owned() })
    }

    pub fn to_handle(&self) -> String {
        BASE64_STANDARD.encode(format!("{MARK}:{}:{}:{}", self.queue, self.message, self.token))
    }

    pub fn standing(&self, connection: &Connection, now: i64) -> Result<Standing> {
        let sql = "SELECT receipt, visible_at, received_at FROM message WHERE number = ? AND queue = ?";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
        };
        let found = connection.prepare_cached(sql)?.query_row([self.message, self.queue], read).optional()?;
        Ok(match found {
            None => Standing::Gone,
            Some((receipt, ..)) if receipt.as_ref() != Some(&self.token) => Standing::Outdated,
            Some((_, visible_at, _)) if visible_at <= now => Standing::Visible,
            Some((_, _, received_at)) => Standing::InFlight { received_at: received_at.unwrap_or(now) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_back() {
        let receipt = Receipt { queue: 7, message: 42, token: "00ff".into() };
        assert_eq!(Receipt::decode(&receipt.to_handle()), Some(receipt));
        for bad in ["", "x", "AAAA", &BASE64_STANDARD.encode("other:1:2:3"), &BASE64_STANDARD.encode("dynaberg:1:2")] {
            assert_eq!(Receipt::decode(bad), None, "{bad}");
        }
    }
}
