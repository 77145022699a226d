//! `dynaberg apply`: makes what a plan says, if the world is still the one that the plan has seen.

use provision::{Applied, Step};

use crate::aws::Aws;
use crate::cli::{ApplyArgs, Format};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::wiring::{declare, refuse_leaks};

use super::plan::{counts, row, show_rows};
use super::sql::parse_catalog;

pub async fn run(arguments: ApplyArgs) -> Outcome {
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let file = PipelineFile::read(&arguments.pipeline)?;
    refuse_leaks(std::slice::from_ref(&file))?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let services = aws.services().await?;
    let declared = declare(&file, catalog.as_ref(), &aws, &services).await?;
    let format = output::format_or_default(arguments.output);
    if arguments.dry_run {
        let plan = provision::plan(&declared.declaration, &services).await?;
        return match format {
            Format::Json => output::json(&plan),
            Format::Table => {
                show_rows(&plan.steps.iter().map(row).collect::<Vec<_>>())?;
                output::line(counts(&plan))
            }
        };
    }
    let told = |step: &Step| tell(format, step);
    let applied = provision::apply(&declared.declaration, &services, arguments.plan.as_deref(), told).await?;
    match format {
        Format::Json => output::json(&applied),
        Format::Table => output::line(format_args!("{}  Try: dynaberg run {}", summary(&applied), file.path.display())),
    }
}

/// `✓ table bucket streamtablebucket`.
pub fn tell(format: Format, step: &Step) {
    if format == Format::Table {
        // A reader who has gone does not stop the work.
        let _ = output::line(format_args!("✓ {} {}", step.kind, step.name));
    }
}

pub fn summary(applied: &Applied) -> String {
    let resumed = match applied.resumed {
        0 => String::new(),
        count => format!(", {count} were made by an earlier run"),
    };
    match (applied.done.len(), applied.resumed) {
        (0, 0) => "nothing to do: all is there.".to_owned(),
        (done, _) => format!("{done} made or changed{resumed}."),
    }
}
