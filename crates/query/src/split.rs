//! Parts a text into statements, before anything is parsed: for whoever reads SQL as it is typed or sent.

/// The statements of `text`, without their semicolons and the space around them, and whether the last of them is still
/// open: a semicolon is yet to come, or the end of a string, a quoted name or a comment.
#[derive(Debug, PartialEq, Eq)]
pub struct Split<'a> {
    pub statements: Vec<&'a str>,
    pub is_open: bool,
}

/// Parts `text` at its semicolons. Those in strings, quoted names and comments part nothing.
pub fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    // What has been seen of this statement besides space and comments, and whether something began that has no end.
    let (mut has_words, mut is_unended) = (false, false);
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let end = match character {
            '\'' | '"' | '`' => rest[1..].find(character).map(|end| end + 2),
            '-' if rest.starts_with("--") => Some(rest.find('\n').map_or(rest.len(), |end| end + 1)),
            '/' if rest.starts_with("/*") => comment_length(rest),
            _ => Some(character.len_utf8()),
        };
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if character == ';' {
            if has_words {
                statements.push(text[start..at].trim());
            }
            (start, has_words) = (at + 1, false);
        } else if !is_comment && !character.is_whitespace() {
            has_words = true;
        }
        is_unended = end.is_none();
        at += end.unwrap_or(rest.len());
    }
    if has_words {
        statements.push(text[start..].trim());
    }
    Split { statements, is_open: has_words || is_unended }
}

/// Comments may hold others.
fn comment_length(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, statements: &[&str], is_open: bool) {
        assert_eq!(split(text), Split { statements: statements.to_vec(), is_open }, "{text}");
    }

    #[test]
    fn only_a_semicolon_that_is_sql_parts_statements() {
        check("SELECT 1; SELECT 2;", &["SELECT 1", "SELECT 2"], false);
        check(
            "SELECT ';', \";\" -- ;\n, 'it''s;' /* ; /* ; */ ; */;",
            &["SELECT ';', \";\" -- ;\n, 'it''s;' /* ; /* ; */ ; */"],
            false,
        );
        check("", &[], false);
        check(" ; -- nothing\n;", &[], false);
    }

    #[test]
    fn what_has_no_end_yet_is_open() {
        check("SELECT 1", &["SELECT 1"], true);
        check("SELECT 1; SELECT 'ü;", &["SELECT 1", "SELECT 'ü;"], true);
        check("/* ;", &[], true);
        check("SELECT 1; -- ;", &["SELECT 1"], false);
    }
}
