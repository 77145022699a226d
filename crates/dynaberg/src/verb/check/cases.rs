//! The tests of a pipeline file.

use std::path::Path;
use std::sync::Arc;

use pipeline::{SqlTransform, Trial};
use toml::Value;

use super::finding::{Finding, Layer};
use crate::config::{Case, Expect, Misfit, PipelineFile};

/// A test does not hold.
const TEST_FAILS: &str = "DYN130";

/// Adds a finding for each test that does not hold.
pub fn run(path: &Path, text: &str, file: &PipelineFile, sql: &Arc<SqlTransform>, findings: &mut Vec<Finding>) {
    let items: Vec<_> = file.cases.iter().map(|case| sql.with_key(&case.given)).collect();
    let trials = match sql.try_items(&items) {
        Ok(trials) => trials,
        Err(error) => {
            findings.push(Finding::of_error(Layer::Tests, TEST_FAILS, path, &error));
            return;
        }
    };
    for (case, trial) in file.cases.iter().zip(trials) {
        if let Some(message) = difference(case, &trial) {
            let advice = "correct the transform, or the test";
            let misfit = Misfit {
                code: TEST_FAILS,
                ..Misfit::value(case.span.clone(), format!("{}: {message}", case.name), advice)
            };
            findings.push(Finding::at_place(Layer::Tests, misfit, path, text));
        }
    }
}

/// What is otherwise than expected.
fn difference(case: &Case, trial: &Trial) -> Option<String> {
    match (&case.expect, trial) {
        (Expect::Filtered, Trial::Filtered) => None,
        (Expect::Rejected(expected), Trial::Rejected { code, .. }) if expected == code => None,
        (Expect::Row(expected), Trial::Row(row)) => expected.iter().find_map(|(column, value)| {
            let Some((_, found)) = row.iter().find(|(name, _)| name == column) else {
                return Some(format!("there is no column `{column}`"));
            };
            let found = found.as_deref().unwrap_or("null");
            let expected = written(value);
            (!is_same(&expected, found)).then(|| format!("`{column}` is {found}, not {expected}"))
        }),
        (_, Trial::Row(_)) => Some("the item becomes a row".to_owned()),
        (_, Trial::Filtered) => Some("the item is filtered".to_owned()),
        (_, Trial::Rejected { code, reason }) => Some(format!("the item is rejected, {code}: {reason}")),
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Numbers may be written with another number of zeros.
fn is_same(expected: &str, found: &str) -> bool {
    let plain = |text: &str| match text.contains('.') && text.parse::<f64>().is_ok() {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    plain(expected) == plain(found)
}
