//! A delivery stream: its name, what it was asked for, and what the store remembers of it.

use aws_wire::Caller;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::firehose::error::{self, Result};
use crate::firehose::settings::{IcebergDestination, S3Destination};

pub(crate) const DESTINATION_ID: &str = "destinationId-000000000001";

/// Account, region and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub account: String,
    pub region: String,
    pub name: String,
}

/// What a delivery stream was asked for, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Tells it from another one made under the same name.
    pub incarnation: Uuid,
    pub version: u64,
    pub created_ms: i64,
    pub updated_ms: Option<i64>,
    pub source: Source,
    /// The member `DeliveryStreamEncryptionConfiguration` of its description.
    pub encryption: serde_json::Value,
    pub destination: Destination,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Source {
    DirectPut { throughput_hint_mbs: Option<u64> },
    Kinesis { stream_arn: String, role_arn: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Destination {
    Iceberg(Box<IcebergDestination>),
    /// `is_extended` tells by which of its two members it was made.
    S3 {
        settings: Box<S3Destination>,
        is_extended: bool,
    },
}

/// A delivery stream as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryStream {
    pub number: i64,
    pub address: Address,
    pub document: Document,
}

impl Destination {
    /// Where all records go as they were put, besides.
    pub fn backup(&self) -> Option<&S3Destination> {
        match self {
            Self::Iceberg(settings) => settings.backup(),
            Self::S3 { settings, .. } => settings.backup(),
        }
    }
}

impl Address {
    /// Names have up to 64 letters, digits, `_`, `.` and `-`.
    pub fn of(caller: &Caller, name: &str) -> Result<Self> {
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !is_name {
            return Err(error::invalid(format!(
                "DeliveryStreamName `{name}` must be 1 to 64 letters, digits, underscores, dots and hyphens"
            )));
        }
        let (account, region) = (caller.identity.account_id.clone(), caller.region.clone());
        Ok(Self { account, region, name: name.to_owned() })
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:firehose:{}:{}:deliverystream/{}", self.region, self.account, self.name)
    }
}

impl DeliveryStream {
    pub fn find(connection: &Connection, address: &Address) -> Result<Option<Self>> {
        let sql = "SELECT number, document FROM delivery_stream WHERE account = ? AND region = ? AND name = ?";
        let found: Option<(i64, String)> = connection
            .prepare_cached(sql)?
            .query_row([&address.account, &address.region, &address.name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let of_row = |(number, document): (i64, String)| {
            Ok(Self { number, address: address.clone(), document: serde_json::from_str(&document)? })
        };
        found.map(of_row).transpose()
    }

    pub fn get(connection: &Connection, address: &Address) -> Result<Self> {
        Self::find(connection, address)?.ok_or_else(|| error::not_found(&address.name, &address.account))
    }

    /// `None` where it was deleted.
    pub fn numbered(connection: &Connection, number: i64) -> Result<Option<Self>> {
        Ok(Self::select(connection, "WHERE number = ?", [number])?.pop())
    }

    /// Those of all accounts and regions.
    pub fn list(connection: &Connection) -> Result<Vec<Self>> {
        Self::select(connection, "ORDER BY number", [])
    }

    fn select(connection: &Connection, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<Self>> {
        let sql = format!("SELECT number, account, region, name, document FROM delivery_stream {which}");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, |row| {
            let address = Address { account: row.get(1)?, region: row.get(2)?, name: row.get(3)? };
            Ok((row.get::<_, i64>(0)?, address, row.get::<_, String>(4)?))
        })?;
        rows.map(|row| {
            let (number, address, document) = row?;
            Ok(Self { number, address, document: serde_json::from_str(&document)? })
        })
        .collect()
    }

    pub fn insert(connection: &Connection, address: &Address, document: &Document, tags: &str) -> Result<()> {
        let sql = "INSERT INTO delivery_stream (account, region, name, document, tags) VALUES (?, ?, ?, ?, ?)";
        let text = serde_json::to_string(document)?;
        connection.execute(sql, params![address.account, address.region, address.name, text, tags])?;
        Ok(())
    }

    pub fn save(&self, connection: &Connection) -> Result<()> {
        let text = serde_json::to_string(&self.document)?;
        connection.execute("UPDATE delivery_stream SET document = ? WHERE number = ?", params![text, self.number])?;
        Ok(())
    }
}
