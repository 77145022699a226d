//! The files of the audit log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const LATEST: &str = "audit.jsonl";
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Full files that are kept beside the latest.
const FULL_FILES_MAX: usize = 10;

/// The file that is written to. After an error it is opened anew, at its last whole line.
pub(super) struct LogFile {
    folder: PathBuf,
    open: Option<(File, u64)>,
}

impl LogFile {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let open = Some(open(&folder.join(LATEST))?);
        Ok(Self { folder: folder.to_owned(), open })
    }

    /// Writes whole lines. They are on disk when it returns; after an error none of them counts.
    pub(super) fn append<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let (mut file, mut length) = match self.open.take() {
            Some(open) => open,
            None => open(&self.folder.join(LATEST))?,
        };
        if length >= FILE_BYTES_MAX {
            drop(file);
            self.turn_over()?;
            (file, length) = open(&self.folder.join(LATEST))?;
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // A part of it may be there.
            file.set_len(length).ok();
            return Err(error);
        }
        self.open = Some((file, length + text.len() as u64));
        Ok(())
    }

    /// Puts the latest file away under the next number.
    fn turn_over(&self) -> io::Result<()> {
        let mut numbers: Vec<u32> = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl"));
            numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        let numbered = |number: u32| self.folder.join(format!("audit-{number:06}.jsonl"));
        std::fs::rename(self.folder.join(LATEST), numbered(numbers.last().map_or(1, |last| last + 1)))?;
        let surplus = (numbers.len() + 1).saturating_sub(FULL_FILES_MAX);
        numbers.iter().take(surplus).try_for_each(|number| std::fs::remove_file(numbered(*number)))
    }
}

/// Opens a file at its last whole line: a torn one is of a decision that nobody was told of.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let size = file.metadata()?.len();
    let whole = whole_lines(&mut file, size)?;
    if whole < size {
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::Start(whole))?;
    if size == 0 {
        // The name is to be there too.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
    }
    Ok((file, whole))
}

/// The length of the file up to its last line break.
fn whole_lines(file: &mut File, size: u64) -> io::Result<u64> {
    const PIECE: u64 = 64 << 10;
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let mut piece = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_goes_and_the_next_begins_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let read = || std::fs::read_to_string(folder.path().join(LATEST)).unwrap();
        LogFile::open(folder.path()).unwrap().append(["a", "b"].into_iter()).unwrap();
        assert_eq!(read(), "a\nb\n");
        std::fs::write(folder.path().join(LATEST), "a\nb\n{\"torn").unwrap();
        LogFile::open(folder.path()).unwrap().append(["c"].into_iter()).unwrap();
        assert_eq!(read(), "a\nb\nc\n");
    }

    #[test]
    fn a_full_file_is_put_away_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=FULL_FILES_MAX {
            std::fs::write(folder.path().join(format!("audit-{number:06}.jsonl")), "old\n").unwrap();
        }
        let mut log = LogFile::open(folder.path()).unwrap();
        log.append(["first"].into_iter()).unwrap();
        log.open.as_mut().unwrap().1 = FILE_BYTES_MAX;
        log.append(["second"].into_iter()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read(LATEST).unwrap(), "second\n");
        assert_eq!(read("audit-000011.jsonl").unwrap(), "first\n");
        assert_eq!((read("audit-000001.jsonl"), read("audit-000002.jsonl").is_some()), (None, true));
    }
}
