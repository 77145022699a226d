//! Says PostgreSQL's SQL in words that DataFusion plans.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, Value, VisitMut, VisitorMut,
};

use crate::column_names::MARK;
use crate::postgres::{SCHEMA, functions, tables};

/// The parts of a name as they are looked up.
pub(super) fn parts(name: &ObjectName) -> Vec<String> {
    let idents = name.0.iter().filter_map(|part| part.as_ident());
    let known = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    idents.map(known).collect()
}

pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rewrite);
    if let Statement::Query(query) = statement {
        name_columns(&mut query.body);
    }
}

/// The columns of a query that reads a catalog table in which there is nothing here, such as triggers: it has no rows,
/// whatever else it says. `None` where it may have some, or says too little of its columns.
pub(super) fn columns_of_nothing(statement: &Statement) -> Option<Vec<String>> {
    let Statement::Query(query) = statement else { return None };
    (query.with.is_none() && is_nothing(&query.body)).then(|| names(&query.body)).flatten()
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // Before what is in it: DataFusion plans only the simpler ones of these.
        match expr {
            Expr::Subquery(query) if is_nothing(&query.body) => *expr = null(),
            Expr::Exists { subquery, negated } if is_nothing(&subquery.body) => {
                *expr = Expr::value(Value::Boolean(*negated));
            }
            Expr::InSubquery { subquery, negated, .. } if is_nothing(&subquery.body) => {
                *expr = Expr::value(Value::Boolean(*negated));
            }
            Expr::Subquery(query) => at_most_one(query),
            Expr::Function(function) if parts(&function.name) == ["array"] => {
                if let FunctionArguments::Subquery(query) = &mut function.args {
                    let is_nothing = is_nothing(&query.body);
                    let mut query = query.clone();
                    aggregate(&mut query, "array_agg");
                    *expr = if is_nothing { no_texts() } else { Expr::Subquery(query) };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => unqualify(&mut function.name),
            // Names compare by their bytes here.
            Expr::Collate { expr: inner, .. } => *expr = std::mem::replace(inner, null()),
            Expr::BinaryOp { op, .. } => {
                if let BinaryOperator::PGCustomBinaryOperator(name) = op
                    && let Some(known) = name.last().and_then(|symbol| operator(symbol))
                {
                    *op = known;
                }
            }
            // DataFusion knows one character for this.
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escape_char.take() {
                    let pattern_of = std::mem::replace(pattern.as_mut(), null());
                    let backslash = Expr::value(Value::SingleQuotedString("\\".to_owned()));
                    **pattern = call_with("replace", vec![pattern_of, Expr::value(escape), backslash]);
                }
            }
            Expr::Cast { expr: inner, data_type, kind, .. } => match cast(data_type) {
                Some(Cast::To(known)) => {
                    *data_type = known;
                    *kind = CastKind::Cast;
                }
                Some(Cast::By(function)) => {
                    let inner = std::mem::replace(inner.as_mut(), null());
                    *expr = call(function, inner);
                }
                None => {}
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

enum Cast {
    To(DataType),
    /// A function says what the value is as that type.
    By(&'static str),
}

/// PostgreSQL's own types, most of which clients write behind `pg_catalog.`
fn cast(data_type: &DataType) -> Option<Cast> {
    let name = match data_type {
        DataType::Custom(name, _) => parts(name).pop()?,
        DataType::Regclass => "regclass".to_owned(),
        _ => return None,
    };
    Some(match name.as_str() {
        "regclass" => Cast::By("to_regclass"),
        "regtype" => Cast::By("to_regtype"),
        "regnamespace" => Cast::By("to_regnamespace"),
        "text" | "name" | "char" | "varchar" | "bpchar" | "regproc" | "regprocedure" | "json" | "jsonb" => {
            Cast::To(DataType::Varchar(None))
        }
        "oid" | "int4" | "xid" | "cid" => Cast::To(DataType::Integer(None)),
        "int8" => Cast::To(DataType::BigInt(None)),
        "int2" => Cast::To(DataType::SmallInt(None)),
        "bool" => Cast::To(DataType::Boolean),
        _ => return None,
    })
}

fn operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn unqualify(name: &mut ObjectName) {
    if name.0.len() == 2 && parts(name).first().is_some_and(|schema| schema == SCHEMA) {
        name.0.remove(0);
    }
}

/// DataFusion plans a correlated subquery only where it sees that it gives one row. In PostgreSQL more would be an error.
fn at_most_one(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if !select.from.is_empty() && !is_aggregated(select) {
        aggregate(query, "max");
    }
}

/// Makes one value of all that a query gives: `ARRAY(SELECT …)` is `array_agg`.
fn aggregate(query: &mut Query, function: &str) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_mut_slice() {
        let inner = std::mem::replace(expr, null());
        *expr = call(function, inner);
        query.order_by = None;
        query.limit_clause = None;
    }
}

/// Tells whether it reads a table that is empty here, in a way that leaves nothing of the other tables.
fn is_nothing(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
            (is_grouped || !is_aggregated(select)) && reads_nothing(select)
        }
        SetExpr::Query(query) => is_nothing(&query.body),
        SetExpr::SetOperation { left, right, .. } => is_nothing(left) && is_nothing(right),
        _ => false,
    }
}

fn reads_nothing(select: &Select) -> bool {
    let is_empty = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => {
            let parts = parts(name);
            let is_theirs = parts.len() < 2 || parts[parts.len() - 2] == SCHEMA;
            is_theirs && parts.last().is_some_and(|name| tables::is_empty(name))
        }
        TableFactor::Derived { subquery, .. } => is_nothing(&subquery.body),
        // The catalog's arrays, of rights and options, are all NULL.
        TableFactor::Table { name, args: Some(arguments), .. } => {
            let is_column = |argument: &FunctionArg| {
                let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else { return false };
                matches!(argument, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            };
            parts(name).last().is_some_and(|name| name == "unnest") && arguments.args.iter().all(is_column)
        }
        _ => false,
    };
    select.from.iter().any(|from| {
        let keeps_left = |join: &JoinOperator| {
            !matches!(join, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
        };
        let is_inner = |join: &JoinOperator| matches!(join, JoinOperator::Join(_) | JoinOperator::Inner(_));
        let joins = || from.joins.iter().map(|join| &join.join_operator);
        (is_empty(&from.relation) && joins().all(keeps_left))
            || (from.joins.iter().any(|join| is_inner(&join.join_operator) && is_empty(&join.relation))
                && joins().all(keeps_left))
    })
}

/// Tells whether it has a row even where it reads none.
fn is_aggregated(select: &Select) -> bool {
    const AGGREGATES: [&str; 10] =
        ["count", "max", "min", "sum", "avg", "array_agg", "string_agg", "bool_or", "bool_and", "json_agg"];
    /// Those of subqueries are their own.
    #[derive(Default)]
    struct Aggregates {
        found: bool,
        depth: usize,
    }
    impl datafusion::sql::sqlparser::ast::Visitor for Aggregates {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let (0, Expr::Function(Function { name, .. })) = (self.depth, expr) {
                self.found |= parts(name).last().is_some_and(|name| AGGREGATES.contains(&name.as_str()));
            }
            ControlFlow::Continue(())
        }
    }
    let mut aggregates = Aggregates::default();
    let _ = datafusion::sql::sqlparser::ast::Visit::visit(&select.projection, &mut aggregates);
    aggregates.found || select.having.is_some()
}

/// The names of the columns; `None` where there is a `*`.
fn names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => {
            let name = |item: &SelectItem| match item {
                SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                _ => None,
            };
            select.projection.iter().map(name).collect()
        }
        SetExpr::Query(query) => names(&query.body),
        SetExpr::SetOperation { left, .. } => names(left),
        _ => None,
    }
}

/// Gives columns the names that PostgreSQL would. Equal ones are told apart by marks that the answer does not show.
fn name_columns(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for (index, item) in select.projection.iter_mut().enumerate() {
                let SelectItem::UnnamedExpr(expr) = item else { continue };
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    let alias = format!("{}{}", name_of(expr), MARK.to_string().repeat(index));
                    let alias = Ident::with_quote('"', alias);
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
        }
        SetExpr::Query(query) => name_columns(&mut query.body),
        SetExpr::SetOperation { left, .. } => name_columns(left),
        _ => {}
    }
}

fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()).unwrap_or_default(),
        Expr::Function(function) => parts(&function.name).pop().unwrap_or_default(),
        Expr::Cast { expr, .. } => name_of(expr),
        Expr::Case { .. } => "case".to_owned(),
        _ => "?column?".to_owned(),
    }
}

fn call(function: &str, argument: Expr) -> Expr {
    call_with(function, vec![argument])
}

fn call_with(function: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    let args = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(function)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// An empty array of text.
fn no_texts() -> Expr {
    call(functions::NO_TEXTS, null())
}

fn null() -> Expr {
    Expr::value(Value::Null)
}
