//! A transform in SQL: `SELECT … FROM changes [WHERE …]`, a projection and a filter, typed before anything runs.
//!
//! The text is read ([`statement`]), its names are found among the attributes of the source ([`attributes`]), its
//! expressions are planned ([`plan`]) and given columns ([`output_type`]). Bound to the columns of a table it turns
//! changes of items into changes of rows ([`bound`]). What reaches which column is in [`flow`].

mod attributes;
mod bound;
mod dialect;
mod flow;
mod functions;
mod output_type;
mod plan;
mod problem;
mod record;
mod statement;
mod trial;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use sha2::{Digest, Sha256};

use crate::shape::{Mode, TableShape, attribute_doc};
use crate::sql::output_type::{column_type, holds, spelled};
use crate::sql::plan::{Planned, Planner};
use crate::sql::problem::{MEANING, NO_KEY, OUTPUT_NAME, TARGET};
use crate::sql::record::{KeyPart, Record};
use crate::sql::statement::{Output, Statement};

pub use attributes::Attributes;
pub(crate) use bound::Bound;
pub use flow::{Flow, Verdict};
pub use functions::{TokenKey, function_names};
pub use problem::Problem;
pub use record::{check_plain_key, recorded_sql};
pub use trial::{Differences, Trial};

/// What a transform is made for.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlOptions<'a> {
    pub mode: Mode,
    /// The secret of `token`.
    pub token_key: Option<&'a TokenKey>,
    /// The columns of the table, where it exists.
    pub target: Option<&'a Schema>,
}

/// A transform that can run. Immutable.
#[derive(Debug)]
pub struct SqlTransform {
    id: String,
    text: String,
    mode: Mode,
    input: TableShape,
    outputs: Vec<OutputColumn>,
    filter: Option<Filter>,
    key_columns: Vec<String>,
}

/// One column that the transform makes.
#[derive(Debug)]
pub(crate) struct OutputColumn {
    pub name: String,
    /// The expression as it was written.
    pub shown: String,
    pub place: Option<Range<usize>>,
    pub planned: Planned,
    pub data_type: DataType,
    /// Whether it reads nothing but the key and what every change has, so that a removed item has it too.
    pub is_of_key: bool,
}

#[derive(Debug)]
pub(crate) struct Filter {
    pub place: Option<Range<usize>>,
    pub planned: Planned,
}

impl SqlTransform {
    /// Reads, types and checks a transform of a source with these attributes.
    pub fn compile(text: &str, attributes: &Attributes, options: SqlOptions<'_>) -> Result<Self, Problem> {
        let mut statement = Statement::parse(text)?;
        let uses = statement.resolve(attributes.names())?;
        let exact = exact_types(&statement, options.target);
        let exact = exact.into_iter().filter(|(name, _)| uses.get(name).is_some_and(|uses| uses.total == 1)).collect();
        let schema = attributes.input(&uses, &exact);
        let key_attributes = attributes.keys().iter().map(|key| key.name.clone()).collect();
        let input = TableShape::of_changes(schema.clone(), key_attributes);

        let planner = Planner::new(&schema, options.token_key)?;
        let mut outputs = Vec::with_capacity(statement.outputs.len());
        for output in &statement.outputs {
            let column = output_column(&planner, &statement, output, attributes)?;
            if outputs.iter().any(|other: &OutputColumn| other.name == column.name) {
                let problem = Problem::new(OUTPUT_NAME, format!("two columns have the name `{}`", column.name));
                return Err(problem.at(column.place).try_this("another name behind AS"));
            }
            outputs.push(column);
        }
        let filter = statement.filter.as_ref().map(|expr| filter(&planner, &statement, expr)).transpose()?;
        let key_columns = match options.mode {
            Mode::Mirror => key_columns(&outputs, attributes)?,
            Mode::Changelog | Mode::Operations => Vec::new(),
        };
        Ok(Self { id: id_of(text), text: text.to_owned(), mode: options.mode, input, outputs, filter, key_columns })
    }

    /// Reads a transform without knowing the source.
    pub fn check_syntax(text: &str) -> Result<(), Problem> {
        Statement::parse(text).map(|_| ())
    }

    /// The attributes that a transform names, as it spells them, with the members of maps that it names behind them.
    pub fn names(text: &str) -> Result<BTreeMap<String, BTreeSet<String>>, Problem> {
        Statement::parse(text).map(|statement| statement.names())
    }

    /// Names this text among all that a table's rows came by: twelve digits of its hash.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Filters that compare with `<>`, which drops items without the attribute too: their attributes.
    pub fn null_dropping_filters(&self) -> Vec<String> {
        let Some(filter) = &self.filter else { return Vec::new() };
        plan::compared_with_not_equal(&filter.planned.logical)
    }

    /// The attributes that are cast to a decimal, each with the digits behind the point that the cast keeps; it rounds.
    pub fn decimal_casts(&self) -> Vec<(String, i8)> {
        let casts = self.outputs.iter().filter_map(|column| plan::decimal_cast(&column.planned.logical));
        casts.map(|(attribute, scale)| (attribute.to_owned(), scale)).collect()
    }

    /// The columns that identify a row, in the order of the source's key. Empty for a changelog.
    pub fn key_columns(&self) -> &[String] {
        &self.key_columns
    }

    /// The schema of a table for its rows; each column's doc tells where it comes from.
    pub fn schema(&self) -> SchemaRef {
        let field = |column: &OutputColumn| {
            let is_required = self.key_columns.contains(&column.name);
            let doc = [("doc".to_owned(), column.doc())].into();
            Field::new(&column.name, column.data_type.clone(), !is_required).with_metadata(doc)
        };
        Arc::new(Schema::new(self.outputs.iter().map(field).collect::<Vec<_>>()))
    }

    /// The name of the table property that records the transform with this text.
    pub fn record_name(text: &str) -> String {
        format!("{}{}", record::PROPERTY, id_of(text))
    }

    /// The property that records it in a table: its text, and the types that attributes have in it.
    pub fn record(&self) -> crate::error::Result<(String, String)> {
        let schema = &self.input.schema;
        let attributes = lake::schema_from_arrow(schema).map_err(|error| {
            crate::Error::new(crate::ErrorKind::Unexpected, "record the types of attributes").with_source(error)
        })?;
        let record = Record { sql: self.text.clone(), attributes, key: self.key() };
        let text = serde_json::to_string(&record).expect("a record has texts and a schema");
        Ok((Self::record_name(&self.text), text))
    }

    /// Checks that the rows of a table with these properties are found by the key that this transform gives rows.
    pub fn check_key(&self, properties: &HashMap<String, String>) -> crate::error::Result<()> {
        match self.mode {
            Mode::Mirror => record::check_key(properties, &self.key()),
            Mode::Changelog | Mode::Operations => Ok(()),
        }
    }

    fn key(&self) -> Vec<KeyPart> {
        let part = |name: &String| {
            let column = self.outputs.iter().find(|column| column.name == *name).expect("a key column is an output");
            KeyPart { column: name.clone(), expression: plan::shown(&column.planned.logical) }
        };
        self.key_columns.iter().map(part).collect()
    }

    pub(crate) fn input(&self) -> &TableShape {
        &self.input
    }

    /// Checks that a table with these columns can hold the rows. Columns that it lacks are not looked at.
    pub fn check_target(&self, target: &Schema) -> Result<(), Problem> {
        for column in &self.outputs {
            let Ok(field) = target.field_with_name(&column.name) else { continue };
            if !holds(field.data_type(), &column.data_type) {
                let (from, to) = (spelled(&column.data_type), spelled(field.data_type()));
                let message = format!("column `{}` of the table is {to}, which does not hold {from}", column.name);
                let help = format!("cast({} AS {to})", column.shown);
                return Err(Problem::new(TARGET, message).at(column.place.clone()).try_this(help));
            }
        }
        for field in target.fields().iter().filter(|field| !field.is_nullable()) {
            let column = self.outputs.iter().find(|column| column.name == *field.name());
            let message = match column {
                None => format!("column `{}` of the table must have a value, and is not selected", field.name()),
                Some(column) if self.mode == Mode::Changelog && !column.is_of_key => {
                    format!("column `{}` of the table must have a value, and removed items have none", field.name())
                }
                Some(_) => continue,
            };
            let help = format!("dynaberg schema TABLE --optional {}", field.name());
            return Err(Problem::new(TARGET, message).try_this(help));
        }
        Ok(())
    }

    /// The columns that a table with these columns lacks, each with its doc.
    pub(crate) fn missing_columns(&self, target: &Schema) -> Vec<lake::ColumnAddition> {
        let is_missing = |column: &&OutputColumn| target.field_with_name(&column.name).is_err();
        let addition = |column: &OutputColumn| lake::ColumnAddition {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            doc: Some(column.doc()),
        };
        self.outputs.iter().filter(is_missing).map(addition).collect()
    }
}

impl OutputColumn {
    fn doc(&self) -> String {
        match &self.planned.logical {
            datafusion::logical_expr::Expr::Column(column) => attribute_doc(&column.name),
            _ => self.shown.clone(),
        }
    }
}

fn id_of(text: &str) -> String {
    Sha256::digest(text.trim()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The types of the table's columns, for attributes that go there as they are.
fn exact_types(statement: &Statement, target: Option<&Schema>) -> BTreeMap<String, DataType> {
    let exact = statement.outputs.iter().filter_map(|output| {
        let attribute = output.attribute()?;
        let field = target?.field_with_name(&output.name()?).ok()?;
        Some((attribute.to_owned(), field.data_type().clone()))
    });
    exact.collect()
}

fn output_column(
    planner: &Planner,
    statement: &Statement,
    output: &Output,
    attributes: &Attributes,
) -> Result<OutputColumn, Problem> {
    let place = statement.place(&output.expr);
    let planned = planner.plan(&output.expr).map_err(|problem| located(problem, &place))?;
    let name = output.name().expect("only a bare attribute has no alias");
    let is_metadata = attributes::metadata_type(&name).is_some() && planned.is_image_of() == Some(name.as_str());
    if name.starts_with('_') && !is_metadata {
        let problem = Problem::new(OUTPUT_NAME, format!("`{name}`: names that begin with `_` are ours"));
        return Err(problem.at(place).try_this(format!("AS {}", name.trim_start_matches('_'))));
    }
    let data_type = column_type(&planned.data_type).ok_or_else(|| {
        let message = format!("column `{name}` would have type {}, which tables lack", spelled(&planned.data_type));
        Problem::new(MEANING, message).at(place.clone()).try_this(format!("cast({} AS …)", output.shown))
    })?;
    let is_of_key =
        planned.columns().iter().all(|name| attributes.is_key(name) || attributes::metadata_type(name).is_some());
    Ok(OutputColumn { name, shown: output.shown.clone(), place, planned, data_type, is_of_key })
}

fn filter(
    planner: &Planner,
    statement: &Statement,
    expr: &datafusion::sql::sqlparser::ast::Expr,
) -> Result<Filter, Problem> {
    let place = statement.place(expr);
    let planned = planner.plan(expr).map_err(|problem| located(problem, &place))?;
    if planned.data_type != DataType::Boolean {
        let message = format!("the filter is {}, not true or false", spelled(&planned.data_type));
        return Err(Problem::new(MEANING, message).at(place).try_this("WHERE status IS DISTINCT FROM 'TEST'"));
    }
    Ok(Filter { place, planned })
}

/// For each key attribute the column that holds it, one to one.
fn key_columns(outputs: &[OutputColumn], attributes: &Attributes) -> Result<Vec<String>, Problem> {
    let column_of = |key: &str| outputs.iter().find(|column| column.planned.is_image_of() == Some(key));
    let keys = attributes.keys().iter().map(|key| match column_of(&key.name) {
        Some(column) => Ok(column.name.clone()),
        None => {
            let name = &key.name;
            let message = format!("no column identifies the item: `{name}` is a part of the key, and is not selected");
            let help = format!("{name}, or token({name}) AS {}, in the SELECT", name.to_lowercase());
            Err(Problem::new(NO_KEY, message).try_this(help))
        }
    });
    keys.collect()
}

fn located(problem: Problem, place: &Option<Range<usize>>) -> Problem {
    match problem.place {
        Some(_) => problem,
        None => problem.at(place.clone()),
    }
}

#[cfg(test)]
mod tests;
