//! Messages to the client.

use std::io;

use bytes::BufMut;
use query::PgType;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::net::tcp::OwnedWriteHalf;

use crate::postgres::cancel::Key;
use crate::postgres::failure::Failure;

/// What has been said is sent when so much has come together, or when it is the client's turn.
const BUFFER_BYTES: usize = 64 << 10;

/// How a client stands to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
    /// Something went wrong in it: all but its end is refused.
    Failed,
}

/// A column of a result.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: String,
    pub known: PgType,
    pub is_binary: bool,
}

pub(super) struct Backend {
    output: BufWriter<OwnedWriteHalf>,
    message: Vec<u8>,
}

impl Backend {
    pub fn new(output: OwnedWriteHalf) -> Self {
        Self { output: BufWriter::with_capacity(BUFFER_BYTES, output), message: Vec::new() }
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        self.output.flush().await
    }

    /// There is no encryption.
    pub async fn refuse_encryption(&mut self) -> io::Result<()> {
        self.output.write_all(b"N").await?;
        self.flush().await
    }

    /// The newest minor version that is spoken here.
    pub async fn negotiate(&mut self, minor: i32) -> io::Result<()> {
        self.send(b'v', |message| {
            message.put_i32(minor);
            message.put_i32(0);
        })
        .await
    }

    pub async fn ask_for_password(&mut self) -> io::Result<()> {
        self.send(b'R', |message| message.put_i32(3)).await?;
        self.flush().await
    }

    pub async fn authenticated(&mut self) -> io::Result<()> {
        self.send(b'R', |message| message.put_i32(0)).await
    }

    pub async fn parameter_status(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.send(b'S', |message| {
            put_text(message, name);
            put_text(message, value);
        })
        .await
    }

    pub async fn key(&mut self, key: Key) -> io::Result<()> {
        self.send(b'K', |message| {
            message.put_i32(key.process);
            message.put_i32(key.secret);
        })
        .await
    }

    /// Hands over to the client.
    pub async fn ready(&mut self, transaction: Transaction) -> io::Result<()> {
        let status = match transaction {
            Transaction::None => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        self.send(b'Z', |message| message.put_u8(status)).await?;
        self.flush().await
    }

    pub async fn fields(&mut self, fields: &[Field]) -> io::Result<()> {
        self.send(b'T', |message| {
            message.put_i16(fields.len() as i16);
            for field in fields {
                put_text(message, &field.name);
                // Of no table that the client could look up.
                message.put_i32(0);
                message.put_i16(0);
                message.put_i32(field.known.oid);
                message.put_i16(field.known.size);
                message.put_i32(field.known.modifier);
                message.put_i16(i16::from(field.is_binary));
            }
        })
        .await
    }

    /// One row: `values` writes each with [`put_value`].
    pub async fn row(&mut self, columns: usize, values: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.send(b'D', |message| {
            message.put_i16(columns as i16);
            values(message);
        })
        .await
    }

    pub async fn parameters(&mut self, types: &[i32]) -> io::Result<()> {
        self.send(b't', |message| {
            message.put_i16(types.len() as i16);
            types.iter().for_each(|oid| message.put_i32(*oid));
        })
        .await
    }

    /// `SELECT 5`.
    pub async fn complete(&mut self, tag: &str) -> io::Result<()> {
        self.send(b'C', |message| put_text(message, tag)).await
    }

    pub async fn parse_complete(&mut self) -> io::Result<()> {
        self.send(b'1', |_| {}).await
    }

    pub async fn bind_complete(&mut self) -> io::Result<()> {
        self.send(b'2', |_| {}).await
    }

    pub async fn close_complete(&mut self) -> io::Result<()> {
        self.send(b'3', |_| {}).await
    }

    pub async fn no_data(&mut self) -> io::Result<()> {
        self.send(b'n', |_| {}).await
    }

    pub async fn empty(&mut self) -> io::Result<()> {
        self.send(b'I', |_| {}).await
    }

    /// As many rows as were asked for; there may be more.
    pub async fn suspended(&mut self) -> io::Result<()> {
        self.send(b's', |_| {}).await
    }

    pub async fn error(&mut self, failure: &Failure) -> io::Result<()> {
        let position = failure.position.map(|position| position.to_string());
        let parts = [
            (b'S', Some(failure.severity())),
            (b'V', Some(failure.severity())),
            (b'C', Some(failure.code)),
            (b'M', Some(failure.message.as_str())),
            (b'D', failure.detail.as_deref()),
            (b'H', failure.hint.as_deref()),
            (b'P', position.as_deref()),
        ];
        self.send(b'E', |message| {
            for (kind, text) in parts {
                if let Some(text) = text {
                    message.put_u8(kind);
                    put_text(message, text);
                }
            }
            message.put_u8(0);
        })
        .await
    }

    async fn send(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.message.clear();
        self.message.put_u8(tag);
        self.message.put_i32(0);
        body(&mut self.message);
        let length = i32::try_from(self.message.len() - 1).map_err(io::Error::other)?;
        self.message[1..5].copy_from_slice(&length.to_be_bytes());
        self.output.write_all(&self.message).await
    }
}

/// Writes a value of a row; NULL where there is none.
pub(super) fn put_value(message: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => {
            message.put_i32(value.len() as i32);
            message.extend_from_slice(value);
        }
        None => message.put_i32(-1),
    }
}

fn put_text(message: &mut Vec<u8>, text: &str) {
    // A zero byte would end it.
    message.extend(text.bytes().filter(|byte| *byte != 0));
    message.put_u8(0);
}
