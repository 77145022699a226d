//! Athena's functions on top of DataFusion's.
//!
//! `templates` spells calls of theirs in DataFusion's functions before planning, `calls` finds them in the statement.
//! What has no counterpart is a [`Scalar`] function of ours: `arrays`, `dates`, `json`, `numbers`, `regexp`, `type_of`,
//! and in `lambdas` those that take a lambda.

mod arrays;
mod calls;
mod dates;
mod json;
mod lambdas;
mod mysql_format;
mod numbers;
mod regexp;
mod scalar;
mod templates;
mod type_of;

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;

pub(crate) use calls::rewrite;
pub(crate) use dates::timestamp_text;
pub(crate) use numbers::decimal_divide;

/// How deep lambdas may stand in lambdas.
const LAMBDA_DEPTH_MAX: usize = 3;

/// Adds our functions to `state`.
pub(crate) fn register(state: &mut SessionState) -> datafusion::error::Result<()> {
    let groups = [arrays::all(), dates::all(), json::all(), numbers::all(), regexp::all(), type_of::all()];
    for function in groups.into_iter().flatten() {
        state.register_udf(Arc::new(ScalarUDF::from(function)))?;
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
