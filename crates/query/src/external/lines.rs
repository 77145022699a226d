//! The lines of an object, as they arrive.

use std::io::Write;

use bytes::Bytes;
use datafusion::common::exec_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use flate2::write::MultiGzDecoder;
use futures::stream::{BoxStream, StreamExt};

/// A longer line is an error: it would have to be held in memory.
const LINE_BYTES_MAX: usize = 100 << 20;

pub(super) struct Lines {
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    /// `None` for an object that is not compressed.
    unpacked: Option<MultiGzDecoder<Vec<u8>>>,
    held: Vec<u8>,
    is_at_end: bool,
}

impl Lines {
    pub fn new(chunks: BoxStream<'static, object_store::Result<Bytes>>, is_gzip: bool) -> Self {
        let unpacked = is_gzip.then(|| MultiGzDecoder::new(Vec::new()));
        Self { chunks, unpacked, held: Vec::new(), is_at_end: false }
    }

    /// The next whole lines, without their ends; `None` behind the last. Bytes that are no UTF-8 are replaced.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>> {
        while !self.is_at_end {
            match self.chunks.next().await {
                Some(chunk) => self.take(&chunk.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?)?,
                None => {
                    self.is_at_end = true;
                    if let Some(mut unpacked) = self.unpacked.take() {
                        unpacked.try_finish().map_err(|error| exec_datafusion_err!("it is no whole gzip: {error}"))?;
                        self.held.append(unpacked.get_mut());
                    }
                }
            }
            let end = match self.is_at_end {
                true => self.held.len(),
                false => self.held.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1),
            };
            if end > 0 {
                let rest = self.held.split_off(end);
                let whole = std::mem::replace(&mut self.held, rest);
                return Ok(Some(cut(&whole)));
            }
            if self.held.len() > LINE_BYTES_MAX {
                return Err(exec_datafusion_err!("a line has more than {LINE_BYTES_MAX} bytes"));
            }
        }
        Ok(None)
    }

    fn take(&mut self, chunk: &[u8]) -> Result<()> {
        let Some(unpacked) = &mut self.unpacked else {
            self.held.extend_from_slice(chunk);
            return Ok(());
        };
        unpacked.write_all(chunk).map_err(|error| exec_datafusion_err!("it is no gzip: {error}"))?;
        self.held.append(unpacked.get_mut());
        Ok(())
    }
}

fn cut(whole: &[u8]) -> Vec<String> {
    let whole = whole.strip_suffix(b"\n").unwrap_or(whole);
    let line = |line: &[u8]| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
    whole.split(|byte| *byte == b'\n').map(line).collect()
}
