//! What kind of statement a text is, and its parameters filled in.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum StatementType {
    Ddl,
    Dml,
    Utility,
}

impl StatementType {
    /// The ending of the result's file.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Dml => "csv",
            Self::Ddl | Self::Utility => "txt",
        }
    }
}

/// The type of the statement, and what Athena calls it in more detail: `SELECT`, `SHOW_TABLES`.
pub(super) fn classify(sql: &str) -> (StatementType, String) {
    let all: Vec<String> = words(sql).collect();
    let words = &all[..all.len().min(2)];
    let first = words.first().map_or("", String::as_str);
    let statement_type = match first {
        "CREATE" | "ALTER" | "DROP" | "MSCK" => StatementType::Ddl,
        "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" | "PREPARE" | "DEALLOCATE" => StatementType::Utility,
        _ => StatementType::Dml,
    };
    let substatement = match (statement_type, first) {
        (_, "WITH" | "VALUES" | "(" | "TABLE") => "SELECT".to_owned(),
        (StatementType::Dml, _) | (_, "EXPLAIN" | "DESCRIBE" | "DESC") => first.to_owned(),
        (_, "CREATE") if is_create_as(&all) => "CREATE_TABLE_AS_SELECT".to_owned(),
        _ => words.join("_"),
    };
    (statement_type, substatement)
}

fn is_create_as(words: &[String]) -> bool {
    let is_query = |word: &String| ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|start| word.starts_with(start));
    words.get(1).is_some_and(|word| word == "TABLE")
        && words.windows(2).any(|pair| pair[0] == "AS" && (is_query(&pair[1]) || pair[1].starts_with('(')))
}

/// The text without its comments.
pub(super) fn uncommented(sql: &str) -> String {
    let shown = pieces(sql).into_iter().map(|piece| match piece {
        Piece::Comment(_) => " ",
        Piece::Quoted(text) | Piece::Plain(text) => text,
    });
    shown.collect()
}

/// The words of a statement in capitals, without comments.
fn words(sql: &str) -> impl Iterator<Item = String> {
    let words: Vec<String> = uncommented(sql).split_whitespace().map(str::to_uppercase).collect();
    words.into_iter()
}

/// A statement with the values written where its question marks stand; an error says what does not fit.
pub(super) fn fill(sql: &str, parameters: &[String]) -> Result<String, String> {
    let mut filled = String::with_capacity(sql.len());
    let mut values = parameters.iter();
    let mut count = 0;
    for piece in pieces(sql) {
        let Piece::Plain(text) = piece else {
            filled.push_str(piece.text());
            continue;
        };
        for (index, part) in text.split('?').enumerate() {
            if index > 0 {
                count += 1;
                filled.push_str(&values.next().map(|value| literal(value)).unwrap_or_default());
            }
            filled.push_str(part);
        }
    }
    if count == parameters.len() {
        return Ok(filled);
    }
    Err(format!("Incorrect number of parameters: expected {count} but found {}", parameters.len()))
}

/// A parameter as SQL. What is a literal stays as it is; anything else is taken for text, so that it stays a value.
fn literal(parameter: &str) -> String {
    let text = parameter.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.parse::<f64>().is_ok();
    let is_keyword = ["null", "true", "false"].iter().any(|keyword| text.eq_ignore_ascii_case(keyword));
    let is_typed = text.split_once('\'').is_some_and(|(name, _)| {
        let is_type = |of: &&str| name.trim_end().eq_ignore_ascii_case(of);
        ["date", "timestamp", "time", "decimal"].iter().any(is_type) && is_string(&text[name.len()..])
    });
    if is_number || is_keyword || is_typed || is_string(text) {
        return text.to_owned();
    }
    format!("'{}'", parameter.replace('\'', "''"))
}

/// Tells whether `text` is one string literal and nothing else.
fn is_string(text: &str) -> bool {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.is_some_and(|inner| !inner.replace("''", "").contains('\''))
}

enum Piece<'a> {
    Plain(&'a str),
    /// With its quotes.
    Quoted(&'a str),
    Comment(&'a str),
}

impl<'a> Piece<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Plain(text) | Self::Quoted(text) | Self::Comment(text) => text,
        }
    }
}

/// Cuts SQL into strings and quoted names, comments, and the rest.
fn pieces(sql: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let starts = ["'", "\"", "`", "--", "/*"];
        let first = starts.iter().filter_map(|start| Some((rest.find(start)?, *start))).min();
        let Some((at, start)) = first else {
            pieces.push(Piece::Plain(rest));
            break;
        };
        if at > 0 {
            pieces.push(Piece::Plain(&rest[..at]));
        }
        let (opened, is_comment, end) = match start {
            "--" => (&rest[at..], true, "\n"),
            "/*" => (&rest[at..], true, "*/"),
            quote => (&rest[at..], false, quote),
        };
        let length = opened[start.len()..].find(end).map_or(opened.len(), |found| start.len() + found + end.len());
        let (piece, after) = opened.split_at(length);
        pieces.push(if is_comment { Piece::Comment(piece) } else { Piece::Quoted(piece) });
        rest = after;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_statement_is_read_from_its_first_words() {
        let kind = |sql| classify(sql);
        assert_eq!(kind("select 1"), (StatementType::Dml, "SELECT".into()));
        assert_eq!(kind("-- D13\n/* x */ WITH a AS (SELECT 1) SELECT 1"), (StatementType::Dml, "SELECT".into()));
        assert_eq!(kind("show tables in analytics"), (StatementType::Utility, "SHOW_TABLES".into()));
        assert_eq!(kind("CREATE TABLE t (a int)"), (StatementType::Ddl, "CREATE_TABLE".into()));
        let create_as = "CREATE TABLE t WITH (format = 'PARQUET') AS SELECT 1 AS a";
        assert_eq!(kind(create_as), (StatementType::Ddl, "CREATE_TABLE_AS_SELECT".into()));
        assert_eq!(kind("INSERT INTO t VALUES (1)"), (StatementType::Dml, "INSERT".into()));
    }

    #[test]
    fn parameters_stay_values() {
        let fill = |sql, parameters: &[&str]| {
            super::fill(sql, &parameters.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        let filled = fill("SELECT ?, '?', \"?\" -- ?\nFROM t WHERE a = ?", &["1", "x' OR 1=1 --"]);
        assert_eq!(filled.unwrap(), "SELECT 1, '?', \"?\" -- ?\nFROM t WHERE a = 'x'' OR 1=1 --'");
        let literals = "DATE '2026-01-01', 'it''s', NULL, -1.5e3, 'a' OR 'b', 2026-01-01";
        let parameters = ["DATE '2026-01-01'", "'it''s'", "NULL", "-1.5e3", "'a' OR 'b'", "2026-01-01"];
        let filled = fill("?, ?, ?, ?, ?, ?", &parameters).unwrap();
        assert_eq!(filled, literals.replace("'a' OR 'b', 2026-01-01", "'''a'' OR ''b''', '2026-01-01'"));
        assert!(fill("SELECT ?", &[]).unwrap_err().contains("expected 1 but found 0"));
    }
}
