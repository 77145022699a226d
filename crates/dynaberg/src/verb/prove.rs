//! `dynaberg prove`: for every column which attributes reach it and through what; fails where a sensitive one gets out.

use pipeline::{Attributes, Flow, Problem, SqlTransform, Verdict};
use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{Format, ProveArgs};
use crate::config::{Misfit, PipelineFile, Transform};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;

use super::check::lint;
use super::check::surroundings::Surroundings;
use super::sql::parse_catalog;

const FILTER: &str = "(filter)";

#[derive(Serialize)]
struct Proof {
    /// Names the SQL that it is about.
    proof: String,
    holds: bool,
    flows: Vec<Row>,
    /// Attributes that the SQL does not read, as far as they are known.
    not_read: Vec<Unread>,
}

#[derive(Serialize)]
struct Row {
    column: String,
    attribute: String,
    sensitive: bool,
    through: Vec<String>,
    /// `clean`, `declassified`, `leaks` or `allowed`.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Unread {
    attribute: String,
    sensitive: bool,
}

pub async fn run(arguments: ProveArgs) -> Outcome {
    let path = &arguments.pipeline;
    let file = PipelineFile::read(path)?;
    if let Some(function) = &file.lambda {
        let message = format!(
            "the transform is the function {}, and what a function lets out cannot be proved",
            function.as_str()
        );
        return Err(Failure::new(Exit::Findings, message).advise("[transform] with sql in place of lambda"));
    }
    let Some(transform) = &file.transform else {
        return Err(Failure::new(Exit::Findings, "there is no [transform]: every attribute is copied into the table")
            .advise("[transform] with sql = \"SELECT … FROM changes\""));
    };
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let surroundings = match arguments.offline {
        true => Surroundings::default(),
        false => {
            let aws = Aws::from_environment(system::ambient()).await?;
            Surroundings::look(path, &file, catalog.as_ref(), &aws).await
        }
    };
    let attributes = lint::attributes(&file, transform, &surroundings)?;
    let sql = transform.compile_leaky(&attributes, file.mode, surroundings.table.as_ref())?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let refused =
        |problem: Problem| Misfit { exit: Exit::Findings, ..transform.sql.misfit(problem) }.into_failure(path, &text);
    let sql = sql.map_err(refused)?;

    let proof = prove(&sql, transform, &attributes);
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&proof)?,
        Format::Table => show(&proof)?,
    }
    match transform.leaks(&sql).into_iter().next() {
        None => Ok(()),
        Some(leak) => Err(refused(leak)),
    }
}

fn prove(sql: &SqlTransform, transform: &Transform, attributes: &Attributes) -> Proof {
    let flows = sql.flows(&transform.sensitive);
    let is_sensitive = |name: &str| transform.sensitive.iter().any(|other| other.to_lowercase() == name.to_lowercase());
    let row = |flow: &Flow| {
        let column = flow.column.clone().unwrap_or_else(|| FILTER.to_owned());
        let is_excused = flow.verdict == Verdict::Leaks && transform.is_allowed(flow);
        let excuse = transform.allow.iter().find(|allow| allow.column == column && allow.attribute == flow.attribute);
        Row {
            sensitive: is_sensitive(&flow.attribute),
            attribute: flow.attribute.clone(),
            through: flow.through.clone(),
            verdict: match flow.verdict {
                Verdict::Clean => "clean",
                Verdict::Declassified => "declassified",
                Verdict::Leaks if is_excused => "allowed",
                Verdict::Leaks => "leaks",
            },
            reason: excuse.filter(|_| is_excused).map(|allow| allow.reason.clone()),
            column,
        }
    };
    let is_read = |name: &str| flows.iter().any(|flow| flow.attribute == name);
    let named = transform.sensitive.iter().map(String::as_str);
    let mut not_read: Vec<&str> =
        attributes.names().chain(named).filter(|name| !is_read(name) && !name.starts_with('_')).collect();
    not_read.sort_unstable();
    not_read.dedup();
    let unread = |name: &&str| Unread { attribute: (*name).to_owned(), sensitive: is_sensitive(name) };
    Proof {
        proof: sql.id().to_owned(),
        holds: transform.leaks(sql).is_empty(),
        flows: flows.iter().map(row).collect(),
        not_read: not_read.iter().map(unread).collect(),
    }
}

fn show(proof: &Proof) -> Outcome {
    let marked = |name: &str, sensitive: bool| if sensitive { format!("{name} (sensitive)") } else { name.to_owned() };
    let header = ["column", "comes from", "through", "verdict"].map(str::to_owned);
    let flow = |row: &Row| {
        let through = if row.through.is_empty() { "—".to_owned() } else { row.through.join(", ") };
        let verdict = match &row.reason {
            Some(reason) => format!("{}: {reason}", row.verdict),
            None => row.verdict.to_owned(),
        };
        [row.column.clone(), marked(&row.attribute, row.sensitive), through, verdict]
    };
    let unread = |unread: &Unread| {
        let attribute = marked(&unread.attribute, unread.sensitive);
        ["not read".to_owned(), attribute, "—".to_owned(), "never leaves".to_owned()]
    };
    let rows: Vec<[String; 4]> =
        std::iter::once(header).chain(proof.flows.iter().map(flow)).chain(proof.not_read.iter().map(unread)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (a, b, c) = (width(0), width(1), width(2));
    for [column, from, through, verdict] in &rows {
        output::line(format_args!("{column:<a$}  {from:<b$}  {through:<c$}  {verdict}"))?;
    }
    output::line(
        "dead letters keep whole records, sensitive values too: their place needs encryption and narrow access",
    )?;
    match proof.holds {
        true => output::line(format_args!(
            "✓ no sensitive attribute reaches lake, filter, preview or logs unmasked.   proof {}",
            proof.proof
        )),
        false => Ok(()),
    }
}
