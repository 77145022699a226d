//! The functions that a transform may use: those of DataFusion that always answer the same, and ours.

mod from_millis;
mod json_get;
mod mask;
mod regexp;
mod round;
mod sha256;
mod text;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{ScalarUDF, Volatility};

pub use crate::sql::functions::token::TokenKey;

pub(crate) const TOKEN: &str = "token";
pub(crate) const MASK: &str = "mask";
pub(crate) const FROM_MILLIS: &str = "from_millis";
pub(crate) const ROUND: &str = "round";

/// What depends on the session or on DataFusion's own notions of types.
const WITHHELD: [&str; 6] = ["arrow_cast", "arrow_try_cast", "arrow_metadata", "arrow_typeof", "version", "get_field"];
/// Ours that take any type of value, as its text.
const TEXT_FUNCTIONS: [&str; 7] =
    [TOKEN, MASK, "sha256", "json_get", "regexp_like", "regexp_extract", "regexp_replace"];
/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS_MIN: f64 = 0.5;

/// Whether a transform may call a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Allowed,
    Aggregate,
    Volatile,
    /// With the function that may be meant.
    Unknown(Option<String>),
}

/// Whether a transform may call the function of this name, which is in lower case.
pub(crate) fn availability(name: &str) -> Availability {
    match NAMES.get(name) {
        Some(availability) => availability.clone(),
        None => {
            let likeness = |known: &&&str| normalized_levenshtein(known, name);
            let allowed = NAMES.iter().filter(|(_, availability)| **availability == Availability::Allowed);
            let mut allowed: Vec<&str> = allowed.map(|(known, _)| *known).collect();
            allowed.sort_unstable();
            let nearest = allowed.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            Availability::Unknown(
                nearest.filter(|known| likeness(known) >= LIKENESS_MIN).map(|known| (*known).to_owned()),
            )
        }
    }
}

/// Whether the first argument may be any type of value, as its text.
pub(crate) fn takes_text(name: &str) -> bool {
    TEXT_FUNCTIONS.contains(&name)
}

/// Every name that may be called, in order.
pub fn function_names() -> Vec<&'static str> {
    let allowed = NAMES.iter().filter(|(_, availability)| **availability == Availability::Allowed);
    let mut names: Vec<&str> = allowed.map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

/// The functions themselves. Without a key, `token` fails when it is called.
pub(crate) fn all(key: Option<&TokenKey>) -> Vec<Arc<ScalarUDF>> {
    let ours = [
        ScalarUDF::from(from_millis::FromMillis::new()),
        ScalarUDF::from(json_get::JsonGet::new()),
        ScalarUDF::from(mask::Mask::new()),
        ScalarUDF::from(round::Round::new()),
        ScalarUDF::from(sha256::Sha256Hex::new()),
        ScalarUDF::from(token::Token::new(key.cloned())),
    ];
    let regexps = regexp::Regexp::all().map(|function| Arc::new(ScalarUDF::from(function)));
    let theirs = SessionStateDefaults::default_scalar_functions();
    theirs.into_iter().filter(|function| is_immutable(function)).chain(ours.map(Arc::new)).chain(regexps).collect()
}

fn is_immutable(function: &ScalarUDF) -> bool {
    function.signature().volatility == Volatility::Immutable
}

static NAMES: LazyLock<HashMap<&'static str, Availability>> = LazyLock::new(|| {
    let leak = |name: &str| -> &'static str { name.to_owned().leak() };
    let mut names = HashMap::new();
    for function in SessionStateDefaults::default_aggregate_functions() {
        names.insert(leak(function.name()), Availability::Aggregate);
    }
    for function in SessionStateDefaults::default_scalar_functions() {
        let availability = if is_immutable(&function) { Availability::Allowed } else { Availability::Volatile };
        for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
            names.insert(leak(name), availability.clone());
        }
    }
    for volatile in ["random", "rand", "uuid", "now", "current_timestamp", "current_date", "current_time"] {
        names.insert(volatile, Availability::Volatile);
    }
    for ours in [FROM_MILLIS, ROUND].into_iter().chain(TEXT_FUNCTIONS) {
        names.insert(ours, Availability::Allowed);
    }
    for withheld in WITHHELD {
        names.remove(withheld);
    }
    names
});

#[cfg(test)]
mod tests;
