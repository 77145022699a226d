//! `dynaberg destroy`: removes what an apply or a deploy has made, and says what it left.

use provision::Destroyed;
use provision::stack::Stack;

use crate::aws::Aws;
use crate::cli::{DestroyArgs, Format};
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::wiring::{Stacks, declare_to_destroy, stacks_named};

use super::sql::parse_catalog;

pub async fn run(arguments: DestroyArgs) -> Outcome {
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let are_stacks = arguments.all || !arguments.what.iter().any(|what| what.ends_with(".toml"));
    if are_stacks {
        return destroy_stacks(arguments).await;
    }
    let [path] = arguments.what.as_slice() else {
        return Err(Failure::new(Exit::Usage, "one pipeline at a time").advise("dynaberg destroy PIPELINE.toml"));
    };
    let file = PipelineFile::read(path.as_ref())?;
    if !arguments.dry_run {
        confirm("pipeline", &file.name, arguments.yes.as_deref())?;
    }
    let aws = Aws::from_environment(system::ambient()).await?;
    let services = aws.services().await?;
    let declaration = declare_to_destroy(&file, catalog.as_ref(), &aws, &services).await?;
    let format = output::format_or_default(arguments.output);
    let told = |resource: &str| tell(format, arguments.dry_run, resource);
    let destroyed = provision::destroy(&declaration, &services, arguments.dry_run, told).await?;
    match format {
        Format::Json => output::json(&destroyed),
        Format::Table => show(&destroyed, arguments.dry_run),
    }
}

/// The stacks that are named, or all: last deployed first.
async fn destroy_stacks(arguments: DestroyArgs) -> Outcome {
    let chosen = if arguments.all { Stack::ALL.to_vec() } else { stacks_named(&arguments.what)? };
    if !arguments.dry_run {
        match chosen.as_slice() {
            _ if arguments.all => confirm("stacks", "all", arguments.yes.as_deref())?,
            [stack] => confirm("stack", stack.name(), arguments.yes.as_deref())?,
            _ => {
                return Err(Failure::new(Exit::Usage, "one stack at a time, or all").advise("dynaberg destroy --all"));
            }
        }
    }
    let aws = Aws::from_environment(system::ambient()).await?;
    let stacks = Stacks::open(&arguments.context, &aws).await?;
    let format = output::format_or_default(arguments.output);
    let mut all = Destroyed::default();
    for stack in chosen.into_iter().rev() {
        if !arguments.all {
            stacks.check_importers(stack).await?;
        }
        let told = |resource: &str| tell(format, arguments.dry_run, resource);
        let declaration = stacks.declare_to_destroy(stack).await?;
        let destroyed = provision::destroy(&declaration, &stacks.services, arguments.dry_run, told).await?;
        all.removed.extend(destroyed.removed);
        all.left.extend(destroyed.left);
    }
    match format {
        Format::Json => output::json(&all),
        Format::Table => show(&all, arguments.dry_run),
    }
}

fn tell(format: Format, dry_run: bool, resource: &str) {
    if format == Format::Table {
        let sign = if dry_run { "-" } else { "✓ removed" };
        let _ = output::line(format_args!("{sign} {resource}"));
    }
}

fn show(destroyed: &Destroyed, dry_run: bool) -> Outcome {
    for left in &destroyed.left {
        output::line(format_args!("  left {}: {}", left.resource, left.reason))?;
    }
    let verb = if dry_run { "to remove" } else { "removed" };
    output::line(format_args!("{} {verb}, {} left.", destroyed.removed.len(), destroyed.left.len()))
}

/// Whoever destroys has to name what.
fn confirm(what: &str, name: &str, given: Option<&str>) -> Outcome {
    use std::io::IsTerminal;

    let asked;
    let given = match given {
        Some(given) => given,
        None if std::io::stdin().is_terminal() => {
            let prompt = format!("This removes what was made for the {what} {name}. Its name");
            let input = dialoguer::Input::<String>::new().with_prompt(prompt).allow_empty(true).interact_text();
            asked = input.unwrap_or_default();
            &asked
        }
        None => {
            return Err(Failure::new(Exit::Usage, format!("nobody is there to confirm the end of {what} {name}"))
                .advise(format!("--yes {name}")));
        }
    };
    match given == name {
        true => Ok(()),
        false => {
            Err(Failure::new(Exit::Usage, format!("`{given}` is not the name of the {what}: nothing was removed"))
                .advise(format!("--yes {name}")))
        }
    }
}
