//! Messages of the client.

use std::io;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;

/// A statement and its parameters.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
const STARTUP_BYTES_MAX: usize = 10_000;

const CANCEL: i32 = 80_877_102;
const SSL: i32 = 80_877_103;
const GSS: i32 = 80_877_104;

/// What a connection begins with.
pub(super) enum Opening {
    /// Asks for encryption, with TLS or Kerberos.
    Encryption,
    Cancel {
        process: i32,
        secret: i32,
    },
    Startup {
        major: i32,
        minor: i32,
        parameters: Vec<(String, String)>,
    },
}

/// What a client says from then on.
#[derive(Debug)]
pub(super) enum Message {
    Query(String),
    Parse {
        statement: String,
        sql: String,
        types: Vec<i32>,
    },
    Bind(Bind),
    /// Of a statement or a portal.
    Describe(Target),
    Execute {
        portal: String,
        rows_max: usize,
    },
    Close(Target),
    Flush,
    Sync,
    Password(String),
    Terminate,
    /// Copying, and function calls of old.
    Other(u8),
}

#[derive(Debug)]
pub(super) struct Bind {
    pub portal: String,
    pub statement: String,
    /// None for text throughout, one for all, or one each: 0 is text, 1 is binary.
    pub formats: Vec<i16>,
    pub values: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

#[derive(Debug)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

pub(super) struct Frontend {
    input: BufReader<OwnedReadHalf>,
}

impl Frontend {
    pub fn new(input: OwnedReadHalf) -> Self {
        Self { input: BufReader::new(input) }
    }

    pub async fn opening(&mut self) -> io::Result<Opening> {
        let mut body = self.body(STARTUP_BYTES_MAX).await?;
        match number(&mut body)? {
            SSL | GSS => Ok(Opening::Encryption),
            CANCEL => Ok(Opening::Cancel { process: number(&mut body)?, secret: number(&mut body)? }),
            version => {
                let mut parameters = Vec::new();
                while body.first().is_some_and(|first| *first != 0) {
                    parameters.push((text(&mut body)?, text(&mut body)?));
                }
                Ok(Opening::Startup { major: version >> 16, minor: version & 0xffff, parameters })
            }
        }
    }

    /// The next message; `None` where the client has gone. Cancel-safe only between messages.
    pub async fn message(&mut self) -> io::Result<Option<Message>> {
        let tag = match self.input.read_u8().await {
            Ok(tag) => tag,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = self.body(MESSAGE_BYTES_MAX).await?;
        parse(tag, body).map(Some)
    }

    /// Waits until there is a message to read, or the client has gone. Cancel-safe.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.input.fill_buf().await.map(|_| ())
    }

    /// Waits until the client has gone, if it does before it says anything more. Cancel-safe.
    pub async fn gone(&mut self) {
        match self.input.fill_buf().await {
            Ok([]) | Err(_) => {}
            Ok(_) => std::future::pending().await,
        }
    }

    /// What comes behind a length, which counts itself.
    async fn body(&mut self, bytes_max: usize) -> io::Result<Bytes> {
        let length = usize::try_from(self.input.read_i32().await?).ok().and_then(|length| length.checked_sub(4));
        let length = length.filter(|length| *length <= bytes_max).ok_or_else(malformed)?;
        let mut body = vec![0; length];
        self.input.read_exact(&mut body).await?;
        Ok(body.into())
    }
}

fn parse(tag: u8, mut body: Bytes) -> io::Result<Message> {
    let body = &mut body;
    Ok(match tag {
        b'Q' => Message::Query(text(body)?),
        b'P' => {
            let (statement, sql) = (text(body)?, text(body)?);
            Message::Parse { statement, sql, types: list(body, number)? }
        }
        b'B' => {
            let (portal, statement) = (text(body)?, text(body)?);
            let formats = list(body, short)?;
            let values = list(body, value)?;
            Message::Bind(Bind { portal, statement, formats, values, result_formats: list(body, short)? })
        }
        b'D' => Message::Describe(target(body)?),
        b'C' => Message::Close(target(body)?),
        b'E' => {
            let portal = text(body)?;
            // Zero is all of them.
            Message::Execute { portal, rows_max: usize::try_from(number(body)?).unwrap_or_default() }
        }
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'p' => Message::Password(text(body)?),
        b'X' => Message::Terminate,
        other => Message::Other(other),
    })
}

fn target(body: &mut Bytes) -> io::Result<Target> {
    if body.is_empty() {
        return Err(malformed());
    }
    match body.get_u8() {
        b'S' => text(body).map(Target::Statement),
        b'P' => text(body).map(Target::Portal),
        _ => Err(malformed()),
    }
}

fn list<T>(body: &mut Bytes, item: fn(&mut Bytes) -> io::Result<T>) -> io::Result<Vec<T>> {
    let count = short(body)?;
    (0..count).map(|_| item(body)).collect()
}

fn value(body: &mut Bytes) -> io::Result<Option<Bytes>> {
    let Ok(length) = usize::try_from(number(body)?) else { return Ok(None) };
    if length > body.len() {
        return Err(malformed());
    }
    Ok(Some(body.split_to(length)))
}

fn number(body: &mut Bytes) -> io::Result<i32> {
    if body.len() < 4 { Err(malformed()) } else { Ok(body.get_i32()) }
}

fn short(body: &mut Bytes) -> io::Result<i16> {
    if body.len() < 2 { Err(malformed()) } else { Ok(body.get_i16()) }
}

/// Text up to a zero byte.
fn text(body: &mut Bytes) -> io::Result<String> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
    let text = body.split_to(end);
    body.advance(1);
    String::from_utf8(text.to_vec()).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "text is not UTF-8"))
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message is malformed or too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_ends_early_is_an_error_and_nothing_worse() {
        let whole = b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x01x\0\0";
        let Message::Bind(bind) = parse(b'B', Bytes::from_static(whole)).unwrap() else { panic!() };
        assert_eq!((bind.portal.as_str(), bind.statement.as_str(), bind.formats), ("p", "s", vec![1]));
        assert_eq!(bind.values, [None, Some(Bytes::from_static(b"x"))]);
        for length in 0..whole.len() {
            assert!(parse(b'B', Bytes::from_static(&whole[..length])).is_err(), "{length}");
        }
        for tag in [b'Q', b'P', b'D', b'C', b'E', b'p'] {
            assert!(parse(tag, Bytes::new()).is_err());
        }
        assert!(parse(b'Q', Bytes::from_static(b"\xff\0")).is_err());
    }
}
