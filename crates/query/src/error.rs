//! Why a query was not answered, for a person to act on.

/// What is wrong, where in the SQL text, and what to do about it.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: &'static str,
    message: String,
    place: Option<Place>,
    label: Option<String>,
    help: Option<String>,
    fix: Option<Fix>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A stretch of the SQL text. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u64,
    pub column: u64,
    pub end_line: u64,
    pub end_column: u64,
}

/// An edit of the SQL text that cures the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    pub place: Place,
    pub replacement: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The text is not SQL as we read it.
pub(crate) const SYNTAX: &str = "DYN200";
pub(crate) const NO_SUCH_COLUMN: &str = "DYN201";
pub(crate) const NO_SUCH_TABLE: &str = "DYN202";
pub(crate) const NO_SUCH_CATALOG: &str = NO_SUCH_TABLE;
/// A name stands for more than one thing.
pub(crate) const AMBIGUOUS: &str = "DYN203";
/// The statement would change something that is not changed by SQL.
pub(crate) const READ_ONLY: &str = "DYN204";
pub(crate) const NO_SUCH_FUNCTION: &str = "DYN205";
/// The statement is SQL but has no meaning: types that do not fit, an aggregate in the wrong place.
pub(crate) const MEANING: &str = "DYN206";
/// It went wrong on the way: a value that cannot be cast, a division by zero.
pub(crate) const EXECUTION: &str = "DYN207";
pub(crate) const OUT_OF_MEMORY: &str = "DYN208";
/// The catalog or a file of the table cannot be read.
pub(crate) const UNREADABLE: &str = "DYN209";
/// The table never had that version, or it has expired.
pub(crate) const NO_SUCH_SNAPSHOT: &str = "DYN210";
/// The SQL would read files, the environment or the network.
pub(crate) const OUTSIDE: &str = "DYN211";

/// The table cannot be changed like that: it exists, a pipeline writes it, its columns do not allow it.
pub(crate) const REFUSED: &str = "DYN212";
/// Whoever asks may not change the table.
pub(crate) const DENIED: &str = "DYN213";
/// Two rows of a MERGE would change the same row of the table.
pub(crate) const MULTIPLE_MATCHES: &str = "DYN214";
/// Others keep changing the table.
pub(crate) const OVERTAKEN: &str = "DYN215";
/// The table is of a format, or has a definition, that is not read here.
pub(crate) const NOT_SERVED: &str = "DYN217";
/// The query would read more bytes than it may.
pub(crate) const READ_LIMIT: &str = "DYN216";

impl Error {
    /// `message` says what is wrong: lower case, no full stop.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Parts { code, message, place: None, label: None, help: None, fix: None, source: None }))
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.0.place = place;
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    pub(crate) fn with_label(mut self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(crate) fn without_help(mut self) -> Self {
        self.0.help = None;
        self
    }

    /// Where the error has a place, writing `replacement` there cures it.
    pub(crate) fn with_replacement(mut self, replacement: impl Into<String>) -> Self {
        let replacement = replacement.into();
        self.0.fix = self.0.place.map(|place| Fix { place, replacement });
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// `DYN201`: stable, the same in text and JSON.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Where in the SQL text, if it is known.
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }

    /// What to write under that place.
    pub fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    /// What to try instead; goes behind `Try:`.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The edit that cures it, where there is one beyond doubt.
    pub fn fix(&self) -> Option<&Fix> {
        self.0.fix.as_ref()
    }
}

impl Fix {
    /// `sql` with the edit made.
    pub fn apply(&self, sql: &str) -> String {
        let start = offset(sql, self.place.line, self.place.column);
        let end = offset(sql, self.place.end_line, self.place.end_column);
        format!("{}{}{}", &sql[..start], self.replacement, &sql[end..])
    }
}

/// The byte offset of a line and column, at most the end of the line.
pub(crate) fn offset(sql: &str, line: u64, column: u64) -> usize {
    let mut start = 0;
    for (text, number) in sql.split_inclusive('\n').zip(1..) {
        if number == line {
            let mut characters = text.char_indices().map(|(index, _)| index);
            return start + characters.nth(column.saturating_sub(1) as usize).unwrap_or(text.len());
        }
        start += text.len();
    }
    sql.len()
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_replaces_its_place_only() {
        let place = Place { line: 2, column: 8, end_line: 2, end_column: 11 };
        let fix = Fix { place, replacement: "b".to_owned() };
        assert_eq!(fix.apply("SELECT ä,\n  'ü', a.b\nFROM t"), "SELECT ä,\n  'ü', b\nFROM t");
    }
}
