//! From expressions as they are written to expressions that run: typed, and checked for what a transform must not do.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator, expr::InList};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, ExprWithAlias};

use crate::sql::functions::{self, FROM_MILLIS, TOKEN, TokenKey};
use crate::sql::problem::{MEANING, NO_TOKEN_KEY, NOT_A_PROJECTION, Problem, TEXT_AGAINST_NUMBER};
use crate::sql::statement::lower_first;

/// Plans expressions over the columns of `changes`.
pub(crate) struct Planner {
    state: SessionState,
    schema: DFSchema,
    has_token_key: bool,
}

impl Planner {
    pub fn new(schema: &Schema, token_key: Option<&TokenKey>) -> Result<Self, Problem> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        let settings = config.options_mut();
        settings.execution.time_zone = Some("+00:00".to_owned());
        settings.sql_parser.collect_spans = true;
        // `1.5` is exact, and text is text.
        settings.sql_parser.parse_float_as_decimal = true;
        settings.sql_parser.map_string_types_to_utf8view = false;
        let builder = SessionStateBuilder::new()
            .with_config(config)
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(functions::all(token_key));
        let schema = DFSchema::try_from(schema.clone()).map_err(|error| meaning(&error))?;
        Ok(Self { state: builder.build(), schema, has_token_key: token_key.is_some() })
    }

    pub fn plan(&self, expr: &SqlExpr) -> Result<Planned, Problem> {
        let written = ExprWithAlias { expr: expr.clone(), alias: None };
        let logical = self.state.create_logical_expr_from_sql_expr(written, &self.schema);
        let logical = logical.map_err(|error| meaning(&error))?.unalias();
        self.judge(&logical)?;
        let physical = self.physical(&logical).map_err(|error| meaning(&error))?;
        let data_type = physical.data_type(self.schema.as_arrow()).map_err(|error| meaning(&error))?;
        Ok(Planned { logical, physical, data_type })
    }

    /// Some functions, as `coalesce`, run only as what they are simplified to.
    fn physical(&self, logical: &Expr) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        let context = SimplifyContext::default()
            .with_schema(Arc::new(self.schema.clone()))
            .with_config_options(self.state.config_options().clone());
        let simplifier = ExprSimplifier::new(context);
        let simplified = simplifier.simplify(simplifier.coerce(logical.clone(), &self.schema)?)?;
        self.state.create_physical_expr(simplified, &self.schema)
    }

    fn judge(&self, expr: &Expr) -> Result<(), Problem> {
        let mut problem = None;
        let walked = expr.apply(|node| {
            problem = self.judge_node(node);
            Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        walked.map_err(|error| meaning(&error))?;
        problem.map_or(Ok(()), Err)
    }

    /// The text was judged before; what is judged here is what the planner made of it.
    fn judge_node(&self, expr: &Expr) -> Option<Problem> {
        match expr {
            Expr::ScalarFunction(call) if call.name() == TOKEN && !self.has_token_key => {
                let problem = Problem::new(NO_TOKEN_KEY, "`token` needs a key");
                Some(problem.try_this("token_key = \"env:NAME\" or token_key = \"file:PATH\""))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => self.compared(left, right),
            Expr::Between(Between { expr, low, high, .. }) => {
                self.compared(expr, low).or_else(|| self.compared(expr, high))
            }
            Expr::InList(InList { expr, list, .. }) => list.iter().find_map(|item| self.compared(expr, item)),
            Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::GroupingSet(_)
            | Expr::Unnest(_)
            | Expr::OuterReferenceColumn(..) => {
                Some(Problem::new(NOT_A_PROJECTION, "a transform is a projection and a filter"))
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                Some(Problem::new(NOT_A_PROJECTION, "a transform has no parameters"))
            }
            _ => None,
        }
    }

    /// The planner would make text of the number, and `'9' > '10'`.
    fn compared(&self, left: &Expr, right: &Expr) -> Option<Problem> {
        let kind = |expr: &Expr| match expr.get_type(&self.schema).ok()? {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Text),
            data_type if data_type.is_numeric() => Some(Kind::Number),
            _ => None,
        };
        let text = match (kind(left)?, kind(right)?) {
            (Kind::Text, Kind::Number) => left,
            (Kind::Number, Kind::Text) => right,
            _ => return None,
        };
        let message = format!("{} is text, and is compared with a number", shown(text));
        let help = match text {
            Expr::Literal(ScalarValue::Utf8(Some(digits)), _) => format!("{digits}, without quotes"),
            other => format!("cast({} AS decimal(38,10))", shown(other)),
        };
        Some(Problem::new(TEXT_AGAINST_NUMBER, message).try_this(help))
    }
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

#[derive(PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// An expression that runs.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub logical: Expr,
    pub physical: Arc<dyn PhysicalExpr>,
    pub data_type: DataType,
}

impl Planned {
    /// The columns of `changes` that it reads.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = self.logical.column_refs().into_iter().map(|column| column.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// The column of which it is a one-to-one image, so that two values never become one.
    pub fn is_image_of(&self) -> Option<&str> {
        image_of(&self.logical)
    }
}

fn image_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) if cast.data_type.is_string() => image_of(&cast.expr),
        Expr::ScalarFunction(call) if [TOKEN, FROM_MILLIS].contains(&call.name()) => image_of(call.args.first()?),
        _ => None,
    }
}

/// The columns that stand beside a `<>`.
pub(crate) fn compared_with_not_equal(expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    let walked = expr.apply(|node| {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::NotEq, right }) = node {
            names.extend([left, right].into_iter().filter_map(|side| match side.as_ref() {
                Expr::Column(column) => Some(column.name.clone()),
                _ => None,
            }));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.expect("the walk has no errors");
    names
}

/// The attribute that the expression casts to a decimal, and how many digits behind the point that keeps.
pub(crate) fn decimal_cast(expr: &Expr) -> Option<(&str, i8)> {
    let (inner, data_type) = match expr {
        Expr::Cast(cast) => (&cast.expr, &cast.data_type),
        Expr::TryCast(cast) => (&cast.expr, &cast.data_type),
        _ => return None,
    };
    match (inner.as_ref(), data_type) {
        (Expr::Column(column), DataType::Decimal128(_, scale)) => Some((&column.name, *scale)),
        _ => None,
    }
}

pub(crate) fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        other => other.human_display().to_string(),
    }
}

fn meaning(error: &DataFusionError) -> Problem {
    let message = match error.find_root() {
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message) => message.clone(),
        other => other.strip_backtrace(),
    };
    // The planner lists every candidate; the first line says what is wrong.
    Problem::new(MEANING, lower_first(message.lines().next().unwrap_or_default()))
}
