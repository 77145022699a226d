//! What a transform means, against what is known of its source and target.

use std::path::Path;
use std::sync::Arc;

use pipeline::{Attributes, Problem, SqlTransform, Trial};

use super::finding::{Finding, Layer};
use super::surroundings::Surroundings;
use crate::config::{Misfit, PipelineFile, Transform};

/// The rows of the table are found by another key.
const OTHER_KEY: &str = "DYN113";
/// A cast fails for sampled items.
const CAST_FAILS: &str = "DYN120";
/// A cast rounds sampled numbers.
const CAST_ROUNDS: &str = "DYN121";
/// `<>` drops what has no value.
const DROPS_NULLS: &str = "DYN122";
/// Types are not known without a source.
const UNKNOWN_TYPES: &str = "DYN123";
/// A credential stands in the file.
const CREDENTIAL: &str = "DYN005";

/// Compiles the transform and looks at its leaks and its result on sampled items. `None` where it cannot run.
pub fn meaning(
    path: &Path,
    text: &str,
    file: &PipelineFile,
    transform: &Transform,
    surroundings: &Surroundings,
    findings: &mut Vec<Finding>,
) -> Option<Arc<SqlTransform>> {
    let place = |problem: Problem| Finding::at_place(Layer::Meaning, transform.sql.misfit(problem), path, text);
    let attributes = match attributes(file, transform, surroundings) {
        Ok(attributes) => attributes,
        Err(error) => {
            findings.push(Finding::of_error(Layer::Meaning, UNKNOWN_TYPES, path, &error));
            return None;
        }
    };
    let sql = match transform.compile_leaky(&attributes, file.mode, surroundings.table.as_ref()) {
        Ok(Ok(sql)) => sql,
        Ok(Err(problem)) => {
            findings.push(place(problem));
            return None;
        }
        Err(error) => {
            findings.push(Finding::of_error(Layer::Meaning, UNKNOWN_TYPES, path, &error));
            return None;
        }
    };
    let properties = surroundings.table.as_ref().map(|table| table.metadata().properties());
    if let Some(Err(error)) = properties.map(|properties| sql.check_key(properties)) {
        findings.push(Finding::of_error(Layer::Meaning, OTHER_KEY, path, &error));
    }
    findings.extend(transform.leaks(&sql).into_iter().map(place));
    if !surroundings.items.is_empty() {
        findings.extend(transform.loose_ends(&sql, &attributes).into_iter().map(|problem| place(problem).warning()));
    }
    for attribute in sql.null_dropping_filters() {
        let message = format!("`{attribute} <> …` also drops items without `{attribute}`");
        let advice = format!("{attribute} IS DISTINCT FROM …, to keep them");
        findings.push(Finding::new(Layer::Meaning, DROPS_NULLS, path, message, advice).warning());
    }
    for (attribute, scale) in sql.decimal_casts() {
        let digits = |item: &serde_json::Value| Some(fraction_digits(item.get(&attribute)?.get("N")?.as_str()?));
        let longest = surroundings.items.iter().filter_map(digits).max().unwrap_or_default();
        if longest > usize::try_from(scale).unwrap_or_default() {
            let message = format!("the cast rounds `{attribute}`: items have up to {longest} digits behind the point");
            let advice = format!("cast({attribute} AS decimal(38,{longest}))");
            findings.push(Finding::new(Layer::Meaning, CAST_ROUNDS, path, message, advice).warning());
        }
    }
    findings.extend(try_sample(path, &sql, surroundings));
    Some(sql)
}

/// From the source, where it was found; else from the tests of the file.
pub fn attributes(
    file: &PipelineFile,
    transform: &Transform,
    surroundings: &Surroundings,
) -> Result<Attributes, pipeline::Error> {
    let given: Vec<serde_json::Value>;
    let items = match surroundings.items.is_empty() {
        false => &surroundings.items,
        true => {
            given = file.cases.iter().map(|case| case.given.clone()).collect();
            &given
        }
    };
    let attributes = transform.attributes(&surroundings.keys, items, surroundings.table.as_ref())?;
    Ok(match surroundings.keys.is_empty() {
        // The source is not known, so what it may have is taken for granted.
        true => transform.assume(attributes, file.mode),
        false => attributes,
    })
}

/// Of a number without an exponent, as nearly all are written.
fn fraction_digits(number: &str) -> usize {
    number.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len())
}

/// One warning for each reason why sampled items would be rejected.
fn try_sample(path: &Path, sql: &Arc<SqlTransform>, surroundings: &Surroundings) -> Vec<Finding> {
    let Ok(trials) = sql.try_items(&surroundings.items) else { return Vec::new() };
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for trial in &trials {
        let Trial::Rejected { code, reason } = trial else { continue };
        let reason = format!("{code}: {reason}");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let finding = |(reason, count): (String, usize)| {
        let message = format!("{count} of {} sampled items would become dead letters ({reason})", trials.len());
        Finding::new(Layer::Meaning, CAST_FAILS, path, message, "try_cast, which gives null").warning()
    };
    reasons.into_iter().map(finding).collect()
}

/// An access key of AWS anywhere in the file.
pub fn credentials(path: &Path, text: &str) -> Option<Finding> {
    const LENGTH: usize = 20;
    let is_key = |start: &usize| {
        let rest = &text.as_bytes()[*start..];
        let key = rest.get(..LENGTH).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let ends = rest.get(LENGTH).is_none_or(|byte| !is_part(byte));
        (key.starts_with(b"AKIA") || key.starts_with(b"ASIA")) && key.iter().all(is_part) && ends
    };
    let start = (0..text.len()).find(is_key)?;
    let advice = "credentials from the environment or a profile, as for every AWS tool";
    let misfit =
        Misfit { code: CREDENTIAL, ..Misfit::value(start..start + LENGTH, "this looks like an access key", advice) };
    Some(Finding::at_place(Layer::Meaning, misfit, path, text))
}
