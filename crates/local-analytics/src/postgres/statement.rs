//! What a client sent, as somebody here answers it.

use query::CatalogQuery;

use crate::postgres::command::{self, Command};
use crate::postgres::failure::Failure;

/// A statement, read from its text. Its parameters are still `$1`, `$2`, ….
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub sql: String,
    /// How many characters of what was sent stand before it.
    pub before: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Empty,
    Command(Command),
    /// About PostgreSQL's own catalog.
    Catalog(Box<CatalogQuery>),
    /// The engine's, which is Athena's SQL.
    Sql,
}

impl Statement {
    /// The statements of a text.
    pub fn read_all(text: &str) -> Vec<Self> {
        let statements = query::split(text).statements;
        // They are pieces of the text.
        let start = |sql: &str| sql.as_ptr() as usize - text.as_ptr() as usize;
        statements.into_iter().map(|sql| Self::new(sql, text[..start(sql)].chars().count())).collect()
    }

    /// The only statement of a text.
    pub fn read_one(text: &str) -> Result<Self, Failure> {
        let mut all = Self::read_all(text);
        match all.len() {
            0 => Ok(Self { sql: String::new(), before: 0, kind: Kind::Empty }),
            1 => Ok(all.remove(0)),
            _ => {
                let message = "cannot insert multiple commands into a prepared statement";
                Err(Failure::new("42601", message).try_instead("one statement at a time"))
            }
        }
    }

    fn new(sql: &str, before: usize) -> Self {
        let kind = match command::read(sql) {
            Some(command) => Kind::Command(command),
            None => query::read_catalog_query(sql).map_or(Kind::Sql, |query| Kind::Catalog(Box::new(query))),
        };
        Self { sql: sql.to_owned(), before, kind }
    }

    /// The command's name when it is done, to which its rows are counted.
    pub fn tag(&self, rows: Option<u64>) -> String {
        let mut words = self.sql.split(|character: char| !character.is_ascii_alphabetic());
        let first = words.next().unwrap_or_default().to_uppercase();
        match (first.as_str(), rows) {
            ("INSERT", Some(rows)) => format!("INSERT 0 {rows}"),
            ("DELETE" | "UPDATE" | "MERGE", Some(rows)) => format!("{first} {rows}"),
            ("CREATE" | "ALTER" | "DROP", _) => {
                format!("{first} {}", words.find(|word| !word.is_empty()).unwrap_or_default().to_uppercase())
            }
            ("EXPLAIN" | "SHOW" | "DESCRIBE", _) => first,
            (_, Some(rows)) => format!("SELECT {rows}"),
            (_, None) => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_know_where_they_stood() {
        let all = Statement::read_all("BEGIN; SELECT 'ü';\nSELECT version()");
        let places: Vec<(&str, usize)> = all.iter().map(|statement| (&*statement.sql, statement.before)).collect();
        assert_eq!(places, [("BEGIN", 0), ("SELECT 'ü'", 7), ("SELECT version()", 19)]);
        assert!(matches!(all[0].kind, Kind::Command(Command::Begin)));
        assert!(matches!(all[1].kind, Kind::Sql));
        assert!(matches!(all[2].kind, Kind::Catalog(_)));
        assert!(Statement::read_one("SELECT 1; SELECT 2").is_err());
        assert!(matches!(Statement::read_one(" ; ").unwrap().kind, Kind::Empty));
    }

    #[test]
    fn tags_count_what_was_done() {
        let tag = |sql: &str, rows| Statement::read_one(sql).unwrap().tag(rows);
        assert_eq!(tag("insert into t VALUES (1)", Some(1)), "INSERT 0 1");
        assert_eq!(tag("WITH a AS (SELECT 1) SELECT 1", Some(3)), "SELECT 3");
        assert_eq!(tag("create  table t (a int)", None), "CREATE TABLE");
    }
}
