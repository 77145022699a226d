//! `dynaberg deploy`, `diff` and `ls`: the blog's three stacks, from its context file.

use provision::stack::{self, Output, Stack};
use provision::{Applied, Plan, Step};
use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{DeployArgs, DiffArgs, Format, LsArgs};
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::wiring::{Stacks, stacks_named};

use super::apply::{summary, tell};
use super::plan::{counts, row, show_rows};

#[derive(Serialize)]
struct Document {
    stack: &'static str,
    applied: Applied,
    outputs: Vec<Output>,
}

pub async fn run(arguments: DeployArgs) -> Outcome {
    let chosen = if arguments.all { Stack::ALL.to_vec() } else { stacks_named(&arguments.stacks)? };
    let aws = Aws::from_environment(system::ambient()).await?;
    let stacks = Stacks::open(&arguments.context, &aws).await?;
    let format = output::format_or_default(arguments.output);
    if arguments.dry_run {
        return show_plans(&stacks, &chosen, format).await;
    }
    let mut documents = Vec::with_capacity(chosen.len());
    for stack in chosen {
        stacks.check_imports(stack).await?;
        if format == Format::Table {
            output::line(stack.name())?;
        }
        let told = |step: &Step| tell(format, step);
        let applied = provision::apply(&stacks.declare(stack), &stacks.services, None, told).await?;
        let outputs = stack::outputs(stack, &stacks.context, &stacks.writer, &stacks.services).await?;
        let document = Document { stack: stack.name(), applied, outputs };
        if format == Format::Table {
            show(&document)?;
        }
        documents.push(document);
        if stack == Stack::Firehose
            && let Some(file) = stacks.write_file()?
            && format == Format::Table
        {
            output::line(format_args!("wrote {0}   next: dynaberg run {0}", file.display()))?;
        }
    }
    match format {
        Format::Json => output::json(&documents),
        Format::Table => Ok(()),
    }
}

pub async fn diff(arguments: DiffArgs) -> Outcome {
    let chosen = if arguments.stacks.is_empty() { Stack::ALL.to_vec() } else { stacks_named(&arguments.stacks)? };
    let aws = Aws::from_environment(system::ambient()).await?;
    let stacks = Stacks::open(&arguments.context, &aws).await?;
    show_plans(&stacks, &chosen, output::format_or_default(arguments.output)).await
}

pub fn ls(arguments: &LsArgs) -> Outcome {
    let names = Stack::ALL.map(Stack::name);
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&names),
        Format::Table => names.iter().try_for_each(output::line),
    }
}

async fn show_plans(stacks: &Stacks, chosen: &[Stack], format: Format) -> Outcome {
    let mut plans: Vec<Plan> = Vec::with_capacity(chosen.len());
    for stack in chosen {
        plans.push(provision::plan(&stacks.declare(*stack), &stacks.services).await?);
    }
    if format == Format::Json {
        return output::json(&plans);
    }
    for (stack, plan) in chosen.iter().zip(&plans) {
        output::line(stack.name())?;
        show_rows(&plan.steps.iter().map(row).collect::<Vec<_>>())?;
        output::line(counts(plan))?;
    }
    Ok(())
}

fn show(document: &Document) -> Outcome {
    output::line(summary(&document.applied))?;
    for Output { name, value } in &document.outputs {
        output::line(format_args!("{}.{name} = {value}", document.stack))?;
    }
    Ok(())
}
