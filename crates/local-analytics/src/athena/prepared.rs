//! PREPARE, EXECUTE and DEALLOCATE PREPARE as SQL, over the statements that the API keeps too.

use crate::athena::Athena;
use crate::athena::execution::Execution;
use crate::athena::failure::Failure;
use crate::athena::prepared_statements::{self, PreparedStatement};
use crate::athena::statement;

/// What is left to do for a statement.
pub(super) enum Prepared {
    /// SQL without parameters.
    Run(String),
    Done,
}

/// A statement as the text has it.
#[derive(Debug, PartialEq, Eq)]
enum Spoken<'a> {
    Prepare { name: &'a str, query: &'a str },
    Execute { name: &'a str, values: Vec<&'a str> },
    Deallocate { name: &'a str },
    Other,
}

/// Keeps or forgets a prepared statement, or says what is to run in its place, with its parameters filled in.
pub(super) async fn resolve(athena: &Athena, execution: &Execution) -> Result<Prepared, Failure> {
    let asked = &execution.asked;
    let text = without_comments(&asked.query);
    let filled =
        |query: &str, values: &[String]| statement::fill(query, values).map(Prepared::Run).map_err(Failure::of_user);
    let spoken = parse(&text)?;
    let (Spoken::Prepare { name, .. } | Spoken::Execute { name, .. } | Spoken::Deallocate { name }) = &spoken else {
        return filled(&asked.query, &asked.parameters);
    };
    let known = {
        let (store, region) = (athena.store.clone(), execution.region.clone());
        let key = prepared_statements::key(&asked.work_group, name);
        let change = match &spoken {
            Spoken::Prepare { query, .. } => Change::Put((*query).to_owned(), athena.ambient.now_ms()),
            Spoken::Deallocate { .. } => Change::Delete,
            _ => Change::None,
        };
        let changed = tokio::task::spawn_blocking(move || {
            let known = store.get::<PreparedStatement>(&region, &key)?;
            match change {
                Change::Put(query, modified_ms) => {
                    let statement = PreparedStatement { query, description: None, modified_ms };
                    store.put(&region, &key, &statement)?;
                }
                Change::Delete => {
                    store.delete::<PreparedStatement>(&region, &key)?;
                }
                Change::None => {}
            }
            Ok::<_, crate::store::StoreError>(known)
        });
        let changed = changed.await.map_err(|error| Failure::of_engine(error.to_string()))?;
        changed.map_err(|error| Failure::of_engine(error.to_string()))?
    };
    match (spoken, known) {
        (Spoken::Prepare { .. }, _) | (Spoken::Deallocate { .. }, Some(_)) => Ok(Prepared::Done),
        (Spoken::Execute { values, .. }, Some(known)) if values.is_empty() => filled(&known.query, &asked.parameters),
        (Spoken::Execute { values, .. }, Some(known)) => {
            let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
            filled(&known.query, &values)
        }
        (Spoken::Execute { name, .. } | Spoken::Deallocate { name }, None) => Err(Failure::of_user(format!(
            "NOT_FOUND: prepared statement {name} was not found in work group {}. Try: PREPARE {name} FROM SELECT …",
            asked.work_group
        ))),
        (Spoken::Other, _) => unreachable!("it was filled above"),
    }
}

enum Change {
    Put(String, i64),
    Delete,
    None,
}

fn parse(text: &str) -> Result<Spoken<'_>, Failure> {
    let wrong = |form: &str| Failure::of_user(format!("SYNTAX_ERROR: a statement of another form. Try: {form}"));
    if let Some(rest) = after(text, "PREPARE") {
        let form = "PREPARE name FROM SELECT … WHERE column = ?";
        let (name, rest) = name(rest).ok_or_else(|| wrong(form))?;
        let query = after(rest, "FROM").ok_or_else(|| wrong(form))?.trim();
        return Ok(Spoken::Prepare { name, query });
    }
    if let Some(rest) = after(text, "EXECUTE") {
        let form = "EXECUTE name USING 'value', 7";
        let (name, rest) = name(rest).ok_or_else(|| wrong(form))?;
        if rest.is_empty() {
            return Ok(Spoken::Execute { name, values: Vec::new() });
        }
        let values = after(rest, "USING").ok_or_else(|| wrong(form))?;
        return Ok(Spoken::Execute { name, values: parts(values) });
    }
    if let Some(rest) = after(text, "DEALLOCATE") {
        let form = "DEALLOCATE PREPARE name";
        let rest = after(rest, "PREPARE").ok_or_else(|| wrong(form))?;
        let (name, rest) = name(rest).ok_or_else(|| wrong(form))?;
        return if rest.is_empty() { Ok(Spoken::Deallocate { name }) } else { Err(wrong(form)) };
    }
    Ok(Spoken::Other)
}

fn without_comments(sql: &str) -> String {
    let text = statement::uncommented(sql);
    text.trim().trim_end_matches(';').trim().to_owned()
}

/// What follows a word, whatever its case.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (first, rest) = text.split_at_checked(word.len())?;
    let is_word = first.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace);
    is_word.then(|| rest.trim_start())
}

/// A name, with or without quotes, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.trim_matches('"');
    (!name.is_empty()).then(|| (name, rest.trim_start()))
}

/// Values between commas that no quote or bracket holds.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0_i32, false);
    for (index, character) in text.char_indices() {
        match character {
            '\'' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        let check = |text: &str, expected: Spoken<'_>| assert_eq!(parse(&without_comments(text)).unwrap(), expected);
        check("SELECT 1", Spoken::Other);
        check("prepare_it", Spoken::Other);
        let query = "SELECT * FROM t WHERE a = ? AND b = 'x;y'";
        check(&format!("-- mine\nPREPARE q FROM {query};"), Spoken::Prepare { name: "q", query });
        check("execute \"q\"", Spoken::Execute { name: "q", values: vec![] });
        let values = vec!["'a, ''b'", "DATE '2026-01-01'", "-7", "ROW(1, 2)"];
        check("EXECUTE q USING 'a, ''b', DATE '2026-01-01', -7, ROW(1, 2)", Spoken::Execute { name: "q", values });
        check("DEALLOCATE PREPARE q", Spoken::Deallocate { name: "q" });
        for wrong in ["PREPARE q", "EXECUTE q 7", "DEALLOCATE q", "DEALLOCATE PREPARE q r"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
