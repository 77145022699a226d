//! Athena's functions on top of DataFusion's.
//!
//! `templates` spells calls of theirs in DataFusion's functions before planning, `calls` finds them in the statement, with
//! `casts` and `lambda_calls`.
//! What has no counterpart is a [`Scalar`] function of ours: `arrays`, `dates`, `json`, `numbers`, `regexp`, `type_of`,
//! and in `lambdas` those that take a lambda. `bounded` keeps theirs from making arrays without end.

mod arrays;
mod bounded;
mod calls;
mod casts;
mod dates;
mod json;
mod lambda_calls;
mod lambdas;
mod mysql_format;
mod numbers;
mod regexp;
mod scalar;
mod templates;
mod type_of;

use std::sync::Arc;

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;

pub(crate) use arrays::element_at;
pub(crate) use calls::rewrite;
pub(crate) use dates::timestamp_text;
pub(crate) use numbers::decimal_divide;
pub(crate) use type_of::trino_name;

use crate::error::{Error, NO_SUCH_FUNCTION};

/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS_MIN: f64 = 0.5;
/// How deep lambdas may stand in lambdas.
const LAMBDA_DEPTH_MAX: usize = 3;

/// Adds our functions to `state`.
pub(crate) fn register(state: &mut SessionState) -> datafusion::error::Result<()> {
    let bounded = bounded::bounded(state)?;
    let groups = [arrays::all(), dates::all(), json::all(), numbers::all(), regexp::all(), type_of::all()];
    for function in groups.into_iter().flatten().map(ScalarUDF::from).chain(bounded) {
        // DataFusion's own of that name, or with that alias, would come back when the session is built anew.
        while let Some(theirs) = state.deregister_udf(function.name())? {
            state.deregister_udf(theirs.name())?;
        }
        state.register_udf(Arc::new(function))?;
    }
    // A lambda is planned by a session that knows all functions, down to lambdas of the next depth.
    for _ in 0..LAMBDA_DEPTH_MAX {
        let inner = Arc::new(state.clone());
        for function in lambdas::all(&inner) {
            state.register_udf(Arc::new(function))?;
        }
    }
    Ok(())
}

/// Names the function that was meant, where `error` is about one that does not exist.
pub(crate) fn suggest(error: Error, state: &SessionState) -> Error {
    if error.code() != NO_SUCH_FUNCTION {
        return error;
    }
    let message = error.to_string();
    let wanted = message.rsplit(' ').next().unwrap_or_default();
    let ours = templates::TEMPLATES.iter().map(|(name, _, _)| *name).chain(lambdas::KINDS.map(|(name, _)| name));
    let scalar = state.scalar_functions().keys().map(String::as_str);
    let aggregate = state.aggregate_functions().keys().map(String::as_str);
    let window = state.window_functions().keys().map(String::as_str);
    // Of equals the first by name, so that the same mistake is always met with the same suggestion.
    let mut known: Vec<&str> = ours.chain(scalar).chain(aggregate).chain(window).collect();
    known.sort_unstable();
    known.reverse();
    let likeness = |name: &&str| normalized_levenshtein(name, wanted);
    let best = known.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|best| likeness(best) >= LIKENESS_MIN) {
        Some(best) => error.with_help(best),
        None => error.without_help(),
    }
}
