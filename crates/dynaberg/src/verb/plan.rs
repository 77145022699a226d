//! `dynaberg plan`: what a pipeline file needs, compared with what is there.

mod emit;

use provision::{Plan, Sign, Step};
use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{Format, PlanArgs};
use crate::config::read_pipelines;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::wiring::{Backfill, Declared, Egress, declare, refuse_leaks};

use super::sql::parse_catalog;

#[derive(Serialize)]
struct Document {
    pipeline: String,
    #[serde(flatten)]
    plan: Plan,
    egress: Egress,
    backfill: Backfill,
}

pub async fn run(arguments: PlanArgs) -> Outcome {
    if let Some(language) = arguments.emit {
        return emit::run(arguments, language).await;
    }
    let is_detailed = arguments.detailed_exitcode;
    match show_plans(arguments).await {
        Ok(true) if is_detailed => Err(Failure::silent(Exit::Pending)),
        Ok(_) => Ok(()),
        Err(failure) if is_detailed => Err(failure.ending_with(Exit::Findings)),
        Err(failure) => Err(failure),
    }
}

/// Whether there is something to do.
async fn show_plans(arguments: PlanArgs) -> Outcome<bool> {
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let files = read_pipelines(&arguments.pipelines)?;
    refuse_leaks(&files)?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let services = aws.services().await?;
    let mut documents = Vec::with_capacity(files.len());
    for file in &files {
        let Declared { declaration, egress, backfill } = declare(file, catalog.as_ref(), &aws, &services).await?;
        let plan = provision::plan(&declaration, &services).await?;
        documents.push(Document { pipeline: file.path.display().to_string(), plan, egress, backfill });
    }
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&documents)?,
        Format::Table => documents.iter().try_for_each(show)?,
    }
    documents.iter().try_for_each(|document| document.plan.refuse_clashes())?;
    Ok(documents.iter().any(|document| document.plan.is_pending()))
}

fn show(document: &Document) -> Outcome {
    let Document { pipeline, plan, egress, backfill } = document;
    let mut rows: Vec<[String; 3]> = plan.steps.iter().map(row).collect();
    rows.push(["  backfill".to_owned(), String::new(), backfill.to_string()]);
    rows.push(["  egress".to_owned(), String::new(), egress.to_string()]);
    show_rows(&rows)?;
    match plan.is_pending() {
        true => output::line(format_args!("{}  Try: dynaberg apply {pipeline} --plan {}", counts(plan), plan.id)),
        // What clashes is said at the end, as an error.
        false if plan.count(Sign::Clash) > 0 => output::line(counts(plan)),
        false => output::line(format_args!("{}  Try: dynaberg run {pipeline}", counts(plan))),
    }
}

/// `+ table bucket`, its name, and what is to know of it.
pub fn row(step: &Step) -> [String; 3] {
    let sign = match step.sign {
        Sign::Add => "+",
        Sign::Change => "~",
        Sign::Keep => " ",
        Sign::Clash => "×",
    };
    [format!("{sign} {}", step.kind), step.name.clone(), step.detail.clone()]
}

pub fn show_rows(rows: &[[String; 3]]) -> Outcome {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (kind, name) = (width(0), width(1));
    for [a, b, c] in rows {
        // What has no name of its own may use its place.
        let line = if b.is_empty() { format!("{a:<kind$}  {c}") } else { format!("{a:<kind$}  {b:<name$}  {c}") };
        output::line(line.trim_end())?;
    }
    Ok(())
}

/// `2 to add, 0 to change, 0 to destroy.`
pub fn counts(plan: &Plan) -> String {
    format!("{} to add, {} to change, 0 to destroy.", plan.count(Sign::Add), plan.count(Sign::Change))
}
