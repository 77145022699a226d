//! A queue as the store has it, and where clients find it.

use aws_wire::{Caller, DEFAULT_ACCOUNT_ID};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::sqs::error::{self, Result};
use crate::sqs::settings::Settings;

pub(crate) const NAME_LENGTH_MAX: usize = 80;
pub(crate) const FIFO_SUFFIX: &str = ".fifo";

pub(crate) struct Queue {
    pub number: i64,
    pub address: Address,
    pub settings: Settings,
    pub created_at: i64,
    pub modified_at: i64,
    pub purged_at: Option<i64>,
}

/// What identifies a queue among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub account: String,
    pub region: String,
    pub name: String,
}

impl Address {
    pub fn of_name(caller: &Caller, name: &str) -> Self {
        Self { account: caller.identity.account_id.clone(), region: caller.region.clone(), name: name.to_owned() }
    }

    /// Reads `http://host/ACCOUNT/NAME`. Whatever the host, the region is the caller's, as on AWS's own hosts.
    /// Nobody calls queues of another account: there are no policies that could let them.
    pub fn of_url(caller: &Caller, url: Option<&str>) -> Result<Self> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| error::missing_parameter("QueueUrl"))?;
        let path = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
        let mut segments = path.trim_matches('/').rsplit('/');
        let name = segments.next().unwrap_or_default();
        let account = segments.next().unwrap_or(&caller.identity.account_id);
        if !is_name(name) || account.len() != DEFAULT_ACCOUNT_ID.len() {
            return Err(error::invalid_address(url));
        }
        if account != caller.identity.account_id {
            return Err(error::access_denied(url));
        }
        Ok(Self::of_name(caller, name))
    }

    /// Reads `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.strip_prefix("arn:aws:sqs:")?.split(':');
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let address = Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        (parts.next().is_none() && is_name(name)).then_some(address)
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{}:{}:{}", self.region, self.account, self.name)
    }

    /// On the host that the caller used.
    pub fn url(&self, host: &str) -> String {
        format!("http://{host}/{}/{}", self.account, self.name)
    }

    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO_SUFFIX)
    }
}

/// Letters, digits, hyphens and underscores; `.fifo` at the end of a FIFO queue's.
pub(crate) fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(FIFO_SUFFIX).unwrap_or(name);
    (1..=NAME_LENGTH_MAX).contains(&name.len())
        && !stem.is_empty()
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

const COLUMNS: &str = "number, account, region, name, settings, created_at, modified_at, purged_at";

impl Queue {
    pub fn find(connection: &Connection, address: &Address) -> Result<Option<Self>> {
        let sql = format!("SELECT {COLUMNS} FROM queue WHERE account = ? AND region = ? AND name = ?");
        let key = [&address.account, &address.region, &address.name];
        Ok(connection.prepare_cached(&sql)?.query_row(key, Self::read).optional()?)
    }

    /// `QueueDoesNotExist`, where there is none.
    pub fn get(connection: &Connection, address: &Address) -> Result<Self> {
        Self::find(connection, address)?.ok_or_else(error::queue_does_not_exist)
    }

    /// Queues of an account and region in the order of their names, beginning after `after`.
    pub fn list(connection: &Connection, of: &Address, prefix: &str, after: &str, max: usize) -> Result<Vec<Self>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM queue WHERE account = ?1 AND region = ?2 AND name > ?3
             AND substr(name, 1, length(?4)) = ?4 ORDER BY name LIMIT ?5"
        );
        let parameters = rusqlite::params![of.account, of.region, after, prefix, max];
        let mut statement = connection.prepare_cached(&sql)?;
        let queues = statement.query_map(parameters, Self::read)?;
        Ok(queues.collect::<rusqlite::Result<_>>()?)
    }

    pub fn insert(connection: &Connection, address: &Address, settings: &Settings, tags: &str, now: i64) -> Result<()> {
        let sql = "INSERT INTO queue (account, region, name, settings, tags, created_at, modified_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
        let (account, region, name) = (&address.account, &address.region, &address.name);
        connection.execute(sql, rusqlite::params![account, region, name, settings.to_text(), tags, now])?;
        Ok(())
    }

    pub fn save_settings(&self, connection: &Connection, settings: &Settings, now: i64) -> Result<()> {
        let sql = "UPDATE queue SET settings = ?, modified_at = ? WHERE number = ?";
        connection.execute(sql, rusqlite::params![settings.to_text(), now, self.number])?;
        Ok(())
    }

    pub fn delete(&self, connection: &Connection) -> Result<()> {
        connection.execute("DELETE FROM queue WHERE number = ?", [self.number])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let settings: String = row.get(4)?;
        Ok(Self {
            number: row.get(0)?,
            address: Address { account: row.get(1)?, region: row.get(2)?, name: row.get(3)? },
            settings: Settings::from_text(&settings),
            created_at: row.get(5)?,
            modified_at: row.get(6)?,
            purged_at: row.get(7)?,
        })
    }

    /// Forgets messages that were kept for as long as the queue keeps them.
    pub fn expire_messages(&self, connection: &Connection, now: i64) -> Result<()> {
        let oldest = now - self.settings.retention_ms();
        let sql = "DELETE FROM message WHERE queue = ? AND kept_from <= ?";
        connection.prepare_cached(sql)?.execute([self.number, oldest])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_letters_digits_hyphens_and_underscores() {
        for good in ["a", "A_b-1", "orders.fifo", &"x".repeat(80)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".fifo", "a.b", "a.fifo.fifo", "a b", "ö", &"x".repeat(81)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_arn_is_read_back() {
        let arn = "arn:aws:sqs:eu-west-1:000000000000:orders.fifo";
        assert_eq!(Address::of_arn(arn).unwrap().arn(), arn);
        for bad in ["", "arn:aws:sns:eu-west-1:000000000000:orders", "arn:aws:sqs:eu-west-1:000000000000:a:b"] {
            assert_eq!(Address::of_arn(bad), None, "{bad}");
        }
    }
}
