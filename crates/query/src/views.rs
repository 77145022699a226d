//! Views: queries under a name, planned where a query names them, for whoever asks.

use std::sync::Arc;

use datafusion::datasource::ViewTable;
use datafusion::sql::parser::Statement;
use futures::future::BoxFuture;

use crate::diagnosis::{self, Known};
use crate::engine::Engine;
use crate::error::{Error, MEANING, Result};
use crate::named::Named;
use crate::visible::SeenTables;
use crate::{functions, rows, session};

/// Views that may be named by one another.
pub(crate) const DEPTH_MAX: usize = 16;

/// A view of a query, until it is planned.
pub(crate) struct ViewBody {
    pub statement: Statement,
    pub sql: String,
    /// The tables that it names itself.
    pub tables: Vec<Named>,
    pub found_in: SeenTables,
    pub database: String,
    pub name: String,
}

impl Engine {
    /// Plans the views among `named`, those first that others name.
    pub(crate) fn plan_views<'a>(&'a self, named: &'a mut [Named]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for named in named {
                let Some(body) = &mut named.view else { continue };
                self.plan_views(&mut body.tables).await?;
                let known: Vec<Known> = body.tables.iter().map(Named::known).collect();
                let planned = async {
                    let state = session::over(&self.state, &body.tables, &self.ambient)?;
                    rows::plan(&state, body.statement.clone()).await
                };
                let plan = planned.await.map_err(|error| {
                    let cause = functions::suggest(diagnosis::of(error, &known), &self.state);
                    // Its place is one in the view's text.
                    let message = format!("view {}.{} is no longer valid: {cause}", body.database, body.name);
                    Error::new(MEANING, message).with_help(format!("CREATE OR REPLACE VIEW {} AS …", body.name))
                })?;
                let table = Arc::new(ViewTable::new(plan, Some(body.sql.clone())));
                named.seen = body.found_in.see_other(&body.database, &body.name, table);
            }
            Ok(())
        })
    }
}
