//! DELETE, UPDATE and MERGE: what they do to which rows, and the query that finds these.
//!
//! All three become one query over the table's rows with their places. It gives a row for each change: where the changed
//! row is, which case of the statement applies, and the values of the row that takes its place.

use arrow::datatypes::Schema;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, CaseWhen, Delete, Expr, FromTable, Ident, Join, JoinConstraint,
    JoinOperator, Merge, MergeAction, MergeClause, MergeClauseKind, MergeInsertExpr, MergeInsertKind, ObjectName,
    SelectItem, SetExpr, Statement as SqlStatement, TableAlias, TableFactor, TableWithJoins, Update, Value,
};

use crate::error::{Error, MEANING, NO_SUCH_COLUMN, READ_ONLY, Result};
use crate::named::EDITED;
use crate::statement;
use crate::visible::Write;

/// What a statement does to the rows of a table.
pub(crate) struct RowChanges {
    /// What the statement calls the table.
    alias: TableAlias,
    /// The rows of MERGE, and how they belong to those of the table.
    source: Option<(TableFactor, Expr)>,
    selection: Option<Expr>,
    /// The first that applies to a row counts.
    pub cases: Vec<Case>,
}

pub(crate) struct Case {
    pub is_matched: bool,
    condition: Option<Expr>,
    pub change: RowChange,
}

pub(crate) enum RowChange {
    Delete,
    Update(Vec<(String, Expr)>),
    /// Without columns, all of them in the table's order.
    Insert(Vec<String>, Vec<Expr>),
}

/// The table that a DELETE, UPDATE or MERGE changes.
pub(crate) fn target(statement: &SqlStatement) -> Result<&ObjectName> {
    Ok(match factor(statement)? {
        TableFactor::Table { name, args: None, version: None, .. } => name,
        other => return Err(refused(format!("{other} cannot be changed"))),
    })
}

fn factor(statement: &SqlStatement) -> Result<&TableFactor> {
    let only = |tables: &'_ [TableWithJoins]| matches!(tables, [only] if only.joins.is_empty());
    match statement {
        SqlStatement::Delete(delete) => match &delete.from {
            FromTable::WithFromKeyword(tables) if only(tables) => Ok(&tables[0].relation),
            _ => Err(refused("DELETE changes one table").with_help("DELETE FROM table WHERE condition")),
        },
        SqlStatement::Update(update) if update.table.joins.is_empty() => Ok(&update.table.relation),
        SqlStatement::Merge(merge) => Ok(&merge.table),
        _ => Err(refused("UPDATE changes one table").with_help("UPDATE table SET column = value WHERE condition")),
    }
}

impl RowChanges {
    pub fn of(statement: Statement) -> Result<Self> {
        let Statement::Statement(statement) = statement else { return Err(refused("no change of rows")) };
        let alias = alias(factor(&statement)?);
        match *statement {
            SqlStatement::Delete(delete) => Self::deletion(alias, delete),
            SqlStatement::Update(update) => Self::update(alias, update),
            SqlStatement::Merge(merge) => Self::merge(alias, merge),
            other => Err(refused(format!("{other} changes no rows"))),
        }
    }

    fn deletion(alias: TableAlias, delete: Delete) -> Result<Self> {
        let is_plain = delete.tables.is_empty()
            && delete.using.is_none()
            && delete.returning.is_none()
            && delete.order_by.is_empty()
            && delete.limit.is_none();
        if !is_plain {
            return Err(refused("DELETE takes a WHERE only").with_help("DELETE FROM table WHERE condition"));
        }
        let cases = vec![Case { is_matched: true, condition: None, change: RowChange::Delete }];
        Ok(Self { alias, source: None, selection: delete.selection, cases })
    }

    fn update(alias: TableAlias, update: Update) -> Result<Self> {
        let is_plain =
            update.from.is_none() && update.returning.is_none() && update.or.is_none() && update.limit.is_none();
        if !is_plain {
            let help = "UPDATE table SET column = value WHERE condition, or MERGE INTO";
            return Err(refused("UPDATE takes SET and WHERE only").with_help(help));
        }
        let change = RowChange::Update(assignments(&alias, update.assignments)?);
        let cases = vec![Case { is_matched: true, condition: None, change }];
        Ok(Self { alias, source: None, selection: update.selection, cases })
    }

    fn merge(alias: TableAlias, merge: Merge) -> Result<Self> {
        if merge.output.is_some() {
            return Err(refused("MERGE has no OUTPUT"));
        }
        let cases = merge.clauses.into_iter().map(|clause| case(&alias, clause)).collect::<Result<_>>()?;
        Ok(Self { alias, source: Some((merge.source, *merge.on)), selection: None, cases })
    }

    /// The rights that it takes, besides reading the table.
    pub fn rights(&self) -> Vec<Write> {
        let has = |is_meant: fn(&RowChange) -> bool| self.cases.iter().any(|case| is_meant(&case.change));
        let deletes = has(|change| !matches!(change, RowChange::Insert(..)));
        let inserts = has(|change| !matches!(change, RowChange::Delete));
        [(deletes, Write::Delete), (inserts, Write::Insert)]
            .into_iter()
            .filter_map(|(is_taken, right)| is_taken.then_some(right))
            .collect()
    }

    /// Tells whether some case gives rows to write.
    pub fn writes_rows(&self) -> bool {
        self.rights().contains(&Write::Insert)
    }

    /// The query that gives `$file`, `$pos`, the number of the case, and with it the values for all columns of `table`
    /// where rows are written.
    pub fn query(&self, table: &Schema) -> Result<Statement> {
        let mut items = vec![item(self.column("$file"), "$file"), item(self.column("$pos"), "$pos")];
        items.push(item(self.per_case(|index, _| Ok(number(index)))?, "$case"));
        if self.writes_rows() {
            self.check_columns(table)?;
            for field in table.fields() {
                let value = self.per_case(|_, case| self.value(case, table, field.name()))?;
                items.push(item(value, field.name()));
            }
        }
        let mut query = statement::constant("1")?;
        if let Statement::Statement(sql) = &mut query
            && let SqlStatement::Query(query) = sql.as_mut()
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            select.projection = items;
            select.from = vec![self.from()];
            select.selection = self.selection.clone();
        }
        Ok(query)
    }

    fn from(&self) -> TableWithJoins {
        let edited = TableFactor::Table {
            name: ObjectName::from(vec![Ident::with_quote('"', EDITED)]),
            alias: Some(self.alias.clone()),
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        };
        let Some((source, on)) = &self.source else { return TableWithJoins { relation: edited, joins: Vec::new() } };
        let on = JoinConstraint::On(on.clone());
        let join_operator = match self.cases.iter().all(|case| case.is_matched) {
            true => JoinOperator::Inner(on),
            false => JoinOperator::LeftOuter(on),
        };
        let join = Join { relation: edited, global: false, join_operator };
        TableWithJoins { relation: source.clone(), joins: vec![join] }
    }

    /// An expression that is what `result` gives for the case that applies, and NULL where none does.
    fn per_case(&self, result: impl Fn(usize, &Case) -> Result<Expr>) -> Result<Expr> {
        if self.source.is_none() {
            return result(0, &self.cases[0]);
        }
        let mut conditions = Vec::with_capacity(self.cases.len());
        for (index, case) in self.cases.iter().enumerate() {
            let place = Box::new(self.column("$file"));
            let applies = if case.is_matched { Expr::IsNotNull(place) } else { Expr::IsNull(place) };
            let condition = match &case.condition {
                Some(condition) => Expr::BinaryOp {
                    left: Box::new(applies),
                    op: BinaryOperator::And,
                    right: Box::new(Expr::Nested(Box::new(condition.clone()))),
                },
                None => applies,
            };
            conditions.push(CaseWhen { condition, result: result(index, case)? });
        }
        Ok(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions,
            else_result: None,
        })
    }

    /// What a case writes into a column.
    fn value(&self, case: &Case, table: &Schema, column: &str) -> Result<Expr> {
        Ok(match &case.change {
            RowChange::Delete => null(),
            RowChange::Update(assignments) => {
                let assigned = assignments.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
                assigned.map_or_else(|| self.column(column), |(_, value)| value.clone())
            }
            RowChange::Insert(names, values) => {
                let index = match names.is_empty() {
                    true => table.fields().iter().position(|field| field.name() == column),
                    false => names.iter().position(|name| name.eq_ignore_ascii_case(column)),
                };
                index.map_or_else(null, |index| values[index].clone())
            }
        })
    }

    /// Every column that is assigned is one of the table's, and is assigned once.
    fn check_columns(&self, table: &Schema) -> Result<()> {
        for case in &self.cases {
            let names: Vec<&String> = match &case.change {
                RowChange::Delete => Vec::new(),
                RowChange::Update(assignments) => assignments.iter().map(|(name, _)| name).collect(),
                RowChange::Insert(names, values) => {
                    let wanted = if names.is_empty() { table.fields().len() } else { names.len() };
                    if wanted != values.len() {
                        let message = format!("{wanted} columns are to be filled, and {} values given", values.len());
                        return Err(Error::new(MEANING, message).with_help("INSERT (column, …) VALUES (value, …)"));
                    }
                    names.iter().collect()
                }
            };
            for (index, name) in names.iter().enumerate() {
                if !table.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name)) {
                    return Err(Error::new(NO_SUCH_COLUMN, format!("the table has no column {name}")));
                }
                if names[..index].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                    return Err(Error::new(MEANING, format!("column {name} is assigned twice")));
                }
            }
        }
        Ok(())
    }

    /// A column of the table that is changed.
    fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![self.alias.name.clone(), Ident::with_quote('"', name)])
    }
}

/// What the statement calls the table: its alias, or the last part of its name.
fn alias(factor: &TableFactor) -> TableAlias {
    let TableFactor::Table { name, alias, .. } = factor else { unreachable!("only tables are changed") };
    alias.clone().unwrap_or_else(|| {
        let last = name.0.last().and_then(|part| part.as_ident()).cloned();
        TableAlias { explicit: true, name: last.unwrap_or_else(|| Ident::new(EDITED)), columns: Vec::new() }
    })
}

fn case(alias: &TableAlias, clause: MergeClause) -> Result<Case> {
    let is_matched = match clause.clause_kind {
        MergeClauseKind::Matched => true,
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => false,
        MergeClauseKind::NotMatchedBySource => return Err(refused("MERGE has no WHEN NOT MATCHED BY SOURCE")),
    };
    let change = match clause.action {
        MergeAction::Delete { .. } if is_matched => RowChange::Delete,
        MergeAction::Update(update) if is_matched => {
            if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                return Err(refused("UPDATE of MERGE has no WHERE").with_help("WHEN MATCHED AND condition THEN"));
            }
            RowChange::Update(assignments(alias, update.assignments)?)
        }
        MergeAction::Insert(insert) if !is_matched => insertion(insert)?,
        _ => {
            let help = "WHEN MATCHED THEN UPDATE or DELETE, WHEN NOT MATCHED THEN INSERT";
            return Err(refused(format!("WHEN {} does not take that", clause.clause_kind)).with_help(help));
        }
    };
    Ok(Case { is_matched, condition: clause.predicate, change })
}

fn insertion(insert: MergeInsertExpr) -> Result<RowChange> {
    let help = "INSERT (column, …) VALUES (value, …)";
    let MergeInsertKind::Values(values) = insert.kind else {
        return Err(refused("INSERT of MERGE takes VALUES").with_help(help));
    };
    let [row] = <[Vec<Expr>; 1]>::try_from(values.rows)
        .map_err(|_| refused("INSERT of MERGE takes the values of one row").with_help(help))?;
    let columns = insert.columns.iter().map(last_name).collect::<Result<_>>()?;
    Ok(RowChange::Insert(columns, row))
}

fn assignments(alias: &TableAlias, given: Vec<Assignment>) -> Result<Vec<(String, Expr)>> {
    given.into_iter().map(|assignment| Ok((assigned(alias, &assignment.target)?, assignment.value))).collect()
}

/// The column that is set, which may be named behind the table.
fn assigned(alias: &TableAlias, target: &AssignmentTarget) -> Result<String> {
    let AssignmentTarget::ColumnName(name) = target else {
        return Err(refused(format!("{target} is no column")).with_help("SET column = value"));
    };
    let is_of_table = match name.0.as_slice() {
        [_] => true,
        [table, _] => table.as_ident().is_some_and(|table| table.value.eq_ignore_ascii_case(&alias.name.value)),
        _ => false,
    };
    match is_of_table {
        true => last_name(name),
        false => Err(refused(format!("{name}: parts of a column cannot be set")).with_help("the whole column")),
    }
}

fn last_name(name: &ObjectName) -> Result<String> {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(|ident| ident.value.clone()).ok_or_else(|| refused(format!("{name} is no column")))
}

fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) }
}

fn number(number: usize) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(READ_ONLY, message)
}
