//! `dynaberg iam-policy`: the rights that a pipeline needs, each statement with its reason.

use provision::policy::{Purpose, Statement, document, statements};

use crate::aws::Aws;
use crate::cli::{Format, IamPolicyArgs, PolicyFor};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::wiring::touched;

use super::sql::parse_catalog;

pub async fn run(arguments: IamPolicyArgs) -> Outcome {
    let file = PipelineFile::read(&arguments.pipeline)?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let touched = touched(&file, catalog.as_ref(), arguments.account.as_deref(), &aws).await?;
    let purpose = match arguments.purpose {
        PolicyFor::Apply => Purpose::Apply,
        PolicyFor::Run => Purpose::Run,
        PolicyFor::Query => Purpose::Query,
    };
    let statements = statements(&touched, purpose);
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&document(&statements)),
        Format::Table => statements.iter().try_for_each(show),
    }
}

fn show(statement: &Statement) -> Outcome {
    let Statement { sid, reason, actions, resource, table } = statement;
    output::line(format_args!("{sid}: {reason}"))?;
    output::line(format_args!("  {}", actions.join(", ")))?;
    match table {
        Some((namespace, name)) => output::line(format_args!("  on {resource}, where it is {namespace}.{name}")),
        None => output::line(format_args!("  on {resource}")),
    }
}
