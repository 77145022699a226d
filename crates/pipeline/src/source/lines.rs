//! Lines of a reader as slices of large blocks: no copy a line, and never more than a block and a line in memory.

use std::io::{Error, ErrorKind, Read, Result};

use bytes::Bytes;
use memchr::{memchr, memrchr};

/// How much is read at once.
const BLOCK_BYTES: u64 = 8 << 20;
/// Far above a record with two images of 400 KB; anything longer is not a file of records.
const LINE_BYTES_MAX: usize = 32 << 20;

pub(crate) struct Lines {
    reader: Box<dyn Read + Send>,
    /// Whole lines, up to `cut`; behind it the beginning of a line that the next block ends.
    block: Bytes,
    at: usize,
    cut: usize,
    reader_is_empty: bool,
}

impl Lines {
    pub fn of(reader: Box<dyn Read + Send>) -> Self {
        Self { reader, block: Bytes::new(), at: 0, cut: 0, reader_is_empty: false }
    }

    /// The next line of the block, without its end. `None` where the block is used up.
    pub fn next_in_block(&mut self) -> Option<Bytes> {
        if self.at == self.cut {
            return None;
        }
        let line_end = memchr(b'\n', &self.block[self.at..self.cut]).map(|length| self.at + length);
        let line = self.block.slice(self.at..line_end.unwrap_or(self.cut));
        self.at = line_end.map_or(self.cut, |line_end| line_end + 1);
        Some(line)
    }

    /// Reads the next block. False at the end of the reader.
    pub fn read_block(&mut self) -> Result<bool> {
        let mut block = self.empty_block();
        let mut line_end = None;
        while line_end.is_none() && !self.reader_is_empty {
            let searched = block.len();
            let read = (&mut self.reader).take(BLOCK_BYTES).read_to_end(&mut block)?;
            self.reader_is_empty = (read as u64) < BLOCK_BYTES;
            line_end = memrchr(b'\n', &block[searched..]).map(|at| searched + at + 1);
            // Every line but the first fits into what one read gives.
            let first_line = memchr(b'\n', &block);
            if first_line.unwrap_or(block.len()) > LINE_BYTES_MAX {
                return Err(Error::new(ErrorKind::InvalidData, "the line is longer than 32 MiB"));
            }
        }
        self.at = 0;
        self.cut = line_end.filter(|_| !self.reader_is_empty).unwrap_or(block.len());
        self.block = Bytes::from(block);
        Ok(self.cut > 0)
    }

    /// Room for a block, with the line in it that the last one began. Uses the last block's memory where nobody has a
    /// line of it any more.
    fn empty_block(&mut self) -> Vec<u8> {
        let begun = self.block[self.cut..].to_vec();
        let mut last = std::mem::take(&mut self.block);
        let mut block = if last.is_unique() {
            // Taking the memory back copies what the handle covers, so it covers next to nothing.
            last.truncate(1);
            Vec::from(last)
        } else {
            Vec::with_capacity(BLOCK_BYTES as usize + begun.len())
        };
        block.clear();
        block.extend_from_slice(&begun);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &str) -> Vec<String> {
        let mut lines = Lines::of(Box::new(std::io::Cursor::new(text.to_owned())));
        let mut read = Vec::new();
        while lines.read_block().unwrap() {
            read.extend(
                std::iter::from_fn(|| lines.next_in_block()).map(|line| String::from_utf8(line.into()).unwrap()),
            );
        }
        read
    }

    #[test]
    fn lines_come_whole_with_or_without_a_last_line_end() {
        assert_eq!(lines_of(""), Vec::<String>::new());
        assert_eq!(lines_of("a"), ["a"]);
        assert_eq!(lines_of("a\n\nb\n"), ["a", "", "b"]);
        assert_eq!(lines_of("a\nb"), ["a", "b"]);
    }

    #[test]
    fn a_line_over_the_edge_of_a_block_comes_whole() {
        let long = "x".repeat(BLOCK_BYTES as usize - 3);
        let longer = "y".repeat(2 * BLOCK_BYTES as usize + 5);
        let text = format!("{long}\nabc\ndef\n{longer}\nend");
        assert_eq!(lines_of(&text), [long.as_str(), "abc", "def", longer.as_str(), "end"]);
    }

    #[test]
    fn a_line_without_end_is_an_error_before_it_fills_the_memory() {
        let mut lines = Lines::of(Box::new(std::io::repeat(b'x')));
        assert_eq!(lines.read_block().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
