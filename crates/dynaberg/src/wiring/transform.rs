//! From a declared transform to one that runs.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::table::Table;
use pipeline::{
    Attributes, Error, ErrorKind, Flow, KeyAttribute, Mode, Problem, Result, SqlOptions, SqlTransform, Verdict,
};

use crate::config::{Misfit, PipelineFile, Transform};
use crate::failure::{Exit, Failure, Outcome};

/// A sensitive attribute gets out.
pub const LEAK: &str = "DYN110";
/// `sensitive` or `allow` names what is not there.
pub const LOOSE_END: &str = "DYN111";
/// The key of `token` cannot be read.
pub const NO_TOKEN_KEY: &str = "DYN112";

/// How `allow` names the filter.
const FILTER: &str = "(filter)";

/// Refuses pipelines that let something sensitive out, before anything runs: the SQL alone tells.
pub fn refuse_leaks(files: &[PipelineFile]) -> Outcome {
    for file in files {
        let Some(transform) = &file.transform else { continue };
        let attributes = transform.assume(Attributes::default(), file.mode);
        // What else is wrong with it is said when the source is known.
        let Ok(Ok(sql)) = transform.compile_leaky(&attributes, file.mode, None) else { continue };
        if let Some(leak) = transform.leaks(&sql).into_iter().next() {
            let text = std::fs::read_to_string(&file.path).unwrap_or_default();
            let misfit = Misfit { exit: Exit::Findings, ..transform.sql.misfit(leak) };
            return Err(misfit.into_failure(&file.path, &text));
        }
    }
    Ok(())
}

impl Transform {
    /// The table property that says that this transform was in use, and how attributes were typed.
    pub fn record_name(&self) -> String {
        SqlTransform::record_name(&self.sql.text)
    }

    /// Compiles it for a source with these attributes, and for `table`, where it exists. One that lets a sensitive
    /// attribute out never runs.
    pub fn compile(&self, attributes: &Attributes, mode: Mode, table: Option<&Table>) -> Result<Arc<SqlTransform>> {
        let sql = self.compile_leaky(attributes, mode, table)??;
        match self.leaks(&sql).into_iter().next() {
            Some(leak) => Err(leak.into()),
            None => Ok(sql),
        }
    }

    /// The same, for those who look at its leaks themselves. What is wrong with the SQL is the inner error.
    pub fn compile_leaky(
        &self,
        attributes: &Attributes,
        mode: Mode,
        table: Option<&Table>,
    ) -> Result<Result<Arc<SqlTransform>, Problem>> {
        let misconfigured = |message: String| Error::new(ErrorKind::Misconfigured, message);
        let token_key = self.token_key.as_ref().map(|place| place.read()).transpose();
        let token_key = match token_key.map_err(|failure: Failure| Problem::new(NO_TOKEN_KEY, failure.message())) {
            Ok(token_key) => token_key,
            Err(problem) => return Ok(Err(problem)),
        };
        let target = match table {
            Some(table) => {
                let schema = schema_to_arrow_schema(table.metadata().current_schema());
                Some(schema.map_err(|error| misconfigured("read the schema of the target".into()).with_source(error))?)
            }
            None => None,
        };
        let options = SqlOptions { mode, token_key: token_key.as_ref(), target: target.as_ref() };
        Ok(SqlTransform::compile(&self.sql.text, attributes, options).and_then(|sql| {
            target.iter().try_for_each(|target| sql.check_target(target))?;
            Ok(Arc::new(sql))
        }))
    }

    /// What is known of the attributes: from items, from what the table has on record, and from the file.
    pub fn attributes(
        &self,
        keys: &[KeyAttribute],
        items: &[serde_json::Value],
        table: Option<&Table>,
    ) -> Result<Attributes> {
        let mut attributes = Attributes::of_sample(keys, items);
        if let Some(table) = table {
            attributes = attributes.with_recorded(table.metadata().properties())?;
        }
        for (name, data_type) in &self.attributes_declared {
            attributes.declare(name, data_type.clone());
        }
        Ok(attributes)
    }

    /// Adds the names that the SQL uses and nobody knows, with types that let it be compiled where there are such.
    pub fn assume(&self, mut attributes: Attributes, mode: Mode) -> Attributes {
        let types = [DataType::Int64, DataType::Decimal128(38, 10), DataType::Boolean];
        let known: Vec<String> = attributes.names().map(str::to_lowercase).collect();
        let mut unknown = SqlTransform::names(&self.sql.text).unwrap_or_default();
        unknown.retain(|name, _| !known.contains(&name.to_lowercase()));
        for (name, members) in &unknown {
            let member = |member: &String| Field::new(member, DataType::Utf8, true);
            let data_type = match members.is_empty() {
                true => DataType::Utf8,
                false => DataType::Struct(members.iter().map(member).collect()),
            };
            attributes.declare(name, data_type);
        }
        let stuck_at = |attributes: &Attributes| match self.compile_leaky(attributes, mode, None) {
            Ok(Err(problem)) if matches!(problem.code, "DYN105" | "DYN106") => problem.place.map(|place| place.start),
            _ => None,
        };
        let mut stuck = stuck_at(&attributes);
        for name in unknown.keys() {
            if stuck.is_none() {
                break;
            }
            for data_type in &types {
                let mut other = attributes.clone();
                other.declare(name, data_type.clone());
                let now = stuck_at(&other);
                if now.is_none() || now > stuck {
                    (attributes, stuck) = (other, now);
                    break;
                }
            }
        }
        attributes
    }

    /// Whether somebody answers for the leak.
    pub fn is_allowed(&self, flow: &Flow) -> bool {
        let column = flow.column.as_deref().unwrap_or(FILTER);
        self.allow.iter().any(|allow| allow.column == column && allow.attribute == flow.attribute)
    }

    /// A problem for each leak that nobody answers for.
    pub fn leaks(&self, sql: &SqlTransform) -> Vec<Problem> {
        let flows = sql.flows(&self.sensitive).into_iter();
        let leaks = flows.filter(|flow| flow.verdict == Verdict::Leaks && !self.is_allowed(flow));
        leaks.map(|leak| leak_problem(sql, &leak)).collect()
    }

    /// A problem for each name in `sensitive` and `allow` that protects or excuses nothing.
    pub fn loose_ends(&self, sql: &SqlTransform, attributes: &Attributes) -> Vec<Problem> {
        let flows = sql.flows(&self.sensitive);
        let is_known = |name: &String| attributes.names().any(|known| known.to_lowercase() == name.to_lowercase());
        let unknown = self.sensitive.iter().filter(|name| !is_known(name)).map(|name| {
            Problem::new(LOOSE_END, format!("sensitive: no item that was looked at has an attribute `{name}`"))
                .try_this("the attribute's name as items have it")
        });
        let excuses_nothing = |allow: &&crate::config::Allowance| {
            !flows.iter().any(|flow| {
                flow.verdict == Verdict::Leaks
                    && flow.column.as_deref().unwrap_or(FILTER) == allow.column
                    && flow.attribute == allow.attribute
            })
        };
        let idle = self.allow.iter().filter(excuses_nothing).map(|allow| {
            Problem::new(LOOSE_END, format!("allow: {} <- {} is no leak", allow.column, allow.attribute))
                .try_this("remove the entry")
        });
        unknown.chain(idle).collect()
    }
}

fn leak_problem(sql: &SqlTransform, leak: &Flow) -> Problem {
    let attribute = &leak.attribute;
    let message = match (&leak.column, leak.through.is_empty()) {
        (Some(column), true) => format!("sensitive attribute `{attribute}` is column `{column}`"),
        (Some(column), false) => {
            format!("sensitive attribute `{attribute}` reaches column `{column}` through {}", leak.through.join(", "))
        }
        (None, _) => format!("sensitive attribute `{attribute}` decides which rows there are"),
    };
    Problem::new(LEAK, message)
        .at(sql.place_of(leak.column.as_deref()))
        .try_this(format!("token({attribute}) or mask({attribute}, 4), of the attribute as it is"))
}
