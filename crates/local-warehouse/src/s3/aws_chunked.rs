//! `Content-Encoding: aws-chunked`: `<length in hex>[;chunk-signature=…]\r\n<bytes>\r\n`, a chunk of length 0, trailers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, StdError};

/// A line of a chunk's head or of the trailers.
const LINE_BYTES_MAX: usize = 8 << 10;
const MALFORMED: &str = "the aws-chunked body is malformed or ends too early";

/// Headers behind the body. They are there once the body was read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

/// The bytes inside of a chunked body.
pub(super) struct AwsChunked {
    body: Body,
    decoder: Decoder,
}

impl AwsChunked {
    pub(super) fn new(body: Body) -> (Self, Trailers) {
        let trailers = Trailers::default();
        let decoder = Decoder { state: State::Head, buffer: BytesMut::new(), trailers: trailers.clone() };
        (Self { body, decoder }, trailers)
    }
}

impl Stream for AwsChunked {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.decoder.next() {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Ok(None) if self.decoder.state == State::End => return Poll::Ready(None),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => self.decoder.buffer.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(Some(Err(MALFORMED.into()))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl ByteStream for AwsChunked {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::unknown()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Data { left: usize },
    DataEnd,
    Trailers,
    End,
}

struct Decoder {
    state: State,
    buffer: BytesMut,
    trailers: Trailers,
}

impl Decoder {
    /// The next bytes; `None` where more input is needed, or at the end.
    fn next(&mut self) -> Result<Option<Bytes>, &'static str> {
        loop {
            match self.state {
                State::End => return Ok(None),
                State::Data { .. } if self.buffer.is_empty() => return Ok(None),
                State::Data { left } => {
                    let count = left.min(self.buffer.len());
                    self.state = if count == left { State::DataEnd } else { State::Data { left: left - count } };
                    return Ok(Some(self.buffer.split_to(count).freeze()));
                }
                State::Head => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    let length = line.split(';').next().unwrap_or_default();
                    let left = usize::from_str_radix(length.trim(), 16).map_err(|_| MALFORMED)?;
                    self.state = if left == 0 { State::Trailers } else { State::Data { left } };
                }
                State::DataEnd => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::Head,
                    Some(_) => return Err(MALFORMED),
                },
                State::Trailers => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::End,
                    Some(line) => self.keep_trailer(&line)?,
                },
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>, &'static str> {
        let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else {
            return if self.buffer.len() > LINE_BYTES_MAX { Err(MALFORMED) } else { Ok(None) };
        };
        let line = String::from_utf8(self.buffer.split_to(end).to_vec()).map_err(|_| MALFORMED)?;
        self.buffer.advance(2);
        Ok(Some(line))
    }

    fn keep_trailer(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, value) = line.split_once(':').ok_or(MALFORMED)?;
        let name: HeaderName = name.trim().parse().map_err(|_| MALFORMED)?;
        let value: HeaderValue = value.trim().parse().map_err(|_| MALFORMED)?;
        self.trailers.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Trailers, bool), &'static str> {
        let trailers = Trailers::default();
        let mut decoder = Decoder { state: State::Head, buffer: BytesMut::new(), trailers: trailers.clone() };
        let mut output = Vec::new();
        for piece in input.chunks(step) {
            decoder.buffer.extend_from_slice(piece);
            while let Some(bytes) = decoder.next()? {
                output.extend_from_slice(&bytes);
            }
        }
        Ok((output, trailers, decoder.state == State::End))
    }

    #[test]
    fn chunks_are_joined_wherever_the_network_cuts_them() {
        let body = b"5;chunk-signature=ab\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n";
        for step in [1, 2, 3, 7, 1000] {
            let (output, trailers, is_ended) = decode(body, step).unwrap();
            assert_eq!(output, b"hello!");
            assert!(is_ended);
            assert_eq!(trailers.get("x-amz-checksum-crc32").as_deref(), Some("AAAA"));
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for body in [&b"zz\r\nhello"[..], b"5\r\nhelloXX\r\n", b"0\r\nno colon\r\n\r\n", &[b'1'; 9000]] {
            assert!(decode(body, 1000).is_err());
        }
        let (_, _, is_ended) = decode(b"5\r\nhel", 10).unwrap();
        assert!(!is_ended);
    }
}
