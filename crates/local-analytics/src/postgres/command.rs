//! PostgreSQL's commands about the connection itself, which the engine does not know.

use query::Connection;

use crate::postgres::backend::Transaction;
use crate::postgres::failure::{Failure, UNSUPPORTED};
use crate::postgres::settings::Settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Begin,
    Commit,
    Rollback,
    /// With a value, or back to the default.
    Set {
        name: String,
        value: Option<String>,
    },
    Show(String),
    /// SET of what holds for a transaction: each statement sees one snapshot, whatever is asked for.
    SetTransaction,
    ResetAll,
    /// Prepared statements that SQL made: there are none.
    Deallocate,
    /// What is PostgreSQL's, and not served here.
    Refused {
        what: String,
        instead: &'static str,
    },
}

/// Reads a command; `None` for what is the engine's.
pub(super) fn read(sql: &str) -> Option<Command> {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let word = |index: usize| words.get(index).map(|word| word.to_uppercase()).unwrap_or_default();
    let refused = |what: &str, instead| Command::Refused { what: what.to_owned(), instead };
    Some(match word(0).as_str() {
        "BEGIN" => Command::Begin,
        "START" if word(1) == "TRANSACTION" => Command::Begin,
        "COMMIT" | "END" => Command::Commit,
        "ROLLBACK" if word(1) == "TO" => refused("ROLLBACK TO SAVEPOINT", "ROLLBACK"),
        "ROLLBACK" | "ABORT" => Command::Rollback,
        "SET" if ["TRANSACTION", "CONSTRAINTS"].contains(&word(1).as_str()) => Command::SetTransaction,
        "SET" if word(1) == "SESSION" && word(2) == "CHARACTERISTICS" => Command::SetTransaction,
        "SET" => set(sql, &words)?,
        "RESET" if word(1) == "ALL" => Command::ResetAll,
        "RESET" => Command::Set { name: words.get(1)?.to_lowercase(), value: None },
        "DISCARD" => Command::ResetAll,
        "DEALLOCATE" => Command::Deallocate,
        "SHOW" => Command::Show(words[1..].join(" ").to_lowercase()),
        "SAVEPOINT" | "RELEASE" => refused("SAVEPOINT", "a transaction without savepoints"),
        "COPY" => refused("COPY", "SELECT; psql's --csv writes what it gives as CSV"),
        "DECLARE" | "FETCH" | "MOVE" => refused("a cursor made by SQL", "SELECT: rows are sent as they are computed"),
        "LISTEN" | "NOTIFY" | "UNLISTEN" => refused("notification", "asking again"),
        "GRANT" | "REVOKE" => refused("GRANT", "aws lakeformation grant-permissions"),
        "PREPARE" | "EXECUTE" => refused("PREPARE", "the prepared statements of your driver"),
        _ => return None,
    })
}

/// `SET [SESSION | LOCAL] name { = | TO } value` and `SET TIME ZONE value`.
fn set(sql: &str, words: &[&str]) -> Option<Command> {
    let scope = words.get(1).filter(|word| ["SESSION", "LOCAL"].contains(&word.to_uppercase().as_str()));
    let mut rest = sql[words[0].len()..].trim_start();
    if let Some(scope) = scope {
        rest = rest.strip_prefix(scope)?.trim_start();
    }
    let upper = rest.to_uppercase();
    let (name, value) = if upper.starts_with("TIME ZONE") {
        ("timezone", rest["TIME ZONE".len()..].trim())
    } else {
        let end = rest.find(|character: char| character == '=' || character.is_whitespace())?;
        let (name, value) = (rest[..end].trim(), rest[end..].trim_start());
        let value = match value.strip_prefix('=') {
            Some(value) => value,
            None => value.get(..3).filter(|to| to.trim_end().eq_ignore_ascii_case("to")).map(|_| &value[3..])?,
        };
        (name, value.trim())
    };
    let is_default = value.eq_ignore_ascii_case("DEFAULT");
    let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
    let value = (!is_default).then(|| value.replace("''", "'"));
    Some(Command::Set { name: name.to_lowercase(), value })
}

/// What a command has done.
pub(super) enum Done {
    Tag(&'static str),
    /// A setting's value, for SHOW: its name, and what it is.
    Setting(String, String),
    /// It is the engine's after all: `SHOW TABLES`.
    NotOurs,
}

/// Carries a command out.
pub(super) fn run(
    command: &Command,
    transaction: &mut Transaction,
    settings: &mut Settings,
    connection: &mut Connection,
) -> Result<Done, Failure> {
    Ok(match command {
        Command::Begin => {
            *transaction = Transaction::Open;
            Done::Tag("BEGIN")
        }
        Command::Commit => {
            // As in PostgreSQL, where a failed transaction cannot be committed.
            let tag = if *transaction == Transaction::Failed { "ROLLBACK" } else { "COMMIT" };
            *transaction = Transaction::None;
            Done::Tag(tag)
        }
        Command::Rollback => {
            *transaction = Transaction::None;
            Done::Tag("ROLLBACK")
        }
        Command::Set { name, value } => {
            settings.set(connection, name, value.as_deref())?;
            Done::Tag("SET")
        }
        Command::SetTransaction => Done::Tag("SET"),
        Command::ResetAll => {
            *settings = Settings::new(&settings.region);
            connection.context.database = None;
            Done::Tag("RESET")
        }
        Command::Deallocate => Done::Tag("DEALLOCATE ALL"),
        Command::Show(name) => match settings.show(connection, name) {
            Some(value) => Done::Setting(name.replace(' ', "_"), value),
            None => Done::NotOurs,
        },
        Command::Refused { what, instead } => {
            return Err(Failure::new(UNSUPPORTED, format!("{what} is not served here")).try_instead(instead));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_in_all_their_spellings() {
        let set = |name: &str, value: Option<&str>| {
            Some(Command::Set { name: name.to_owned(), value: value.map(str::to_owned) })
        };
        assert_eq!(read("SET search_path TO analytics"), set("search_path", Some("analytics")));
        assert_eq!(read("set session DateStyle='ISO'"), set("datestyle", Some("ISO")));
        assert_eq!(read("SET LOCAL statement_timeout = '5s'"), set("statement_timeout", Some("5s")));
        assert_eq!(read("SET TIME ZONE 'UTC'"), set("timezone", Some("UTC")));
        assert_eq!(read("SET extra_float_digits = DEFAULT"), set("extra_float_digits", None));
        assert_eq!(read("RESET search_path"), set("search_path", None));
        assert_eq!(read("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), Some(Command::SetTransaction));
        assert_eq!(read("begin isolation level serializable"), Some(Command::Begin));
        assert_eq!(read("SHOW TRANSACTION ISOLATION LEVEL"), Some(Command::Show("transaction isolation level".into())));
        assert_eq!(read("SELECT 1"), None);
        assert_eq!(read("SET nonsense"), None);
    }
}
