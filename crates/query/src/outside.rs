//! Refuses SQL that would read anything but the lake's tables, by the name of what it would use.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{TableFactor, VisitorMut};

use crate::error::{Error, OUTSIDE, Result};
use crate::time_travel::visit;

/// Functions that stand where a table does, and read nothing.
const TABLE_FUNCTIONS: [&str; 2] = ["generate_series", "range"];

pub(crate) fn check(statement: &mut Statement) -> Result<()> {
    match visit(statement, &mut Check) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Check;

impl VisitorMut for Check {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, table_factor: &mut TableFactor) -> ControlFlow<Error> {
        let refused = match table_factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                let name = name.to_string();
                (!TABLE_FUNCTIONS.contains(&name.to_lowercase().as_str())).then_some(name)
            }
            TableFactor::TableFunction { expr, .. } => Some(expr.to_string()),
            // `FROM '/etc/passwd'`, as DuckDB has it.
            TableFactor::Table { name, .. } => {
                let first = name.0.first().and_then(|part| part.as_ident());
                first.filter(|ident| ident.quote_style == Some('\'')).map(|ident| ident.to_string())
            }
            _ => None,
        };
        match refused {
            Some(name) => {
                let error = Error::new(
                    OUTSIDE,
                    format!("{name} is not allowed: queries read the lake's tables and nothing else"),
                );
                ControlFlow::Break(error.with_help("SHOW TABLES"))
            }
            None => ControlFlow::Continue(()),
        }
    }
}
