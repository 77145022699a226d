//! Result files. Rows of DML are CSV: every value is quoted, a null is nothing at all. Those of DDL are tab-separated text.

/// One row; a null has no text.
pub(super) type Row = Vec<Option<String>>;

/// Appends a row in which every value is quoted.
pub(super) fn write_row<'a>(file: &mut Vec<u8>, row: impl IntoIterator<Item = Option<&'a str>>) {
    for (index, value) in row.into_iter().enumerate() {
        if index > 0 {
            file.push(b',');
        }
        if let Some(value) = value {
            file.push(b'"');
            for part in value.split_inclusive('"') {
                file.extend_from_slice(part.as_bytes());
                if part.ends_with('"') {
                    file.push(b'"');
                }
            }
            file.push(b'"');
        }
    }
    file.push(b'\n');
}

/// Reads the row at the start of `bytes`, and how many bytes it takes; `None` where its end is not there.
pub(super) fn read_row(bytes: &[u8]) -> Option<(Row, usize)> {
    let mut row = Vec::new();
    let mut at = 0;
    loop {
        let value = if bytes.get(at) == Some(&b'"') {
            let (value, length) = quoted(&bytes[at..])?;
            at += length;
            Some(value)
        } else {
            None
        };
        row.push(value);
        match bytes.get(at)? {
            b',' => at += 1,
            b'\n' => return Some((row, at + 1)),
            // Nothing but our own files is read; whatever else stands there ends the value.
            _ => at += bytes[at..].iter().position(|byte| matches!(byte, b',' | b'\n'))?,
        }
    }
}

/// The value between the quotes at the start of `bytes`, and its length with them.
fn quoted(bytes: &[u8]) -> Option<(String, usize)> {
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        let quote = at + bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
        value.extend_from_slice(&bytes[at..quote]);
        // The byte behind a quote tells what it means, so it must be there.
        match bytes.get(quote + 1)? {
            b'"' => value.push(b'"'),
            _ => return Some((String::from_utf8_lossy(&value).into_owned(), quote + 1)),
        }
        at = quote + 2;
    }
}

/// Appends a row of text: what would break it is written as a space.
pub(super) fn write_line<'a>(file: &mut Vec<u8>, row: impl IntoIterator<Item = Option<&'a str>>) {
    let values: Vec<String> =
        row.into_iter().map(|value| value.unwrap_or_default().replace(['\t', '\n', '\r'], " ")).collect();
    file.extend_from_slice(values.join("\t").as_bytes());
    file.push(b'\n');
}

pub(super) fn read_line(bytes: &[u8]) -> Option<(Row, usize)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = String::from_utf8_lossy(&bytes[..end]);
    Some((line.split('\t').map(|value| Some(value.to_owned())).collect(), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let row = [Some("a"), None, Some(""), Some("say \"so\",\nthen"), Some("\"")];
        let mut file = Vec::new();
        write_row(&mut file, row);
        assert_eq!(file, b"\"a\",,\"\",\"say \"\"so\"\",\nthen\",\"\"\"\"\n");
        let (read, length) = read_row(&file).unwrap();
        assert_eq!(read.iter().map(Option::as_deref).collect::<Vec<_>>(), row);
        assert_eq!(length, file.len());
        for cut in 0..file.len() {
            assert_eq!(read_row(&file[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_row_of_nulls_keeps_its_width() {
        let mut file = Vec::new();
        write_row(&mut file, [None, None]);
        assert_eq!(read_row(&file), Some((vec![None, None], 2)));
    }

    #[test]
    fn text_keeps_its_lines_and_columns() {
        let mut file = Vec::new();
        write_line(&mut file, [Some("a\tb\nc"), None]);
        assert_eq!(read_line(&file), Some((vec![Some("a b c".into()), Some(String::new())], 7)));
    }
}
