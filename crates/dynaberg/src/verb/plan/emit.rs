//! `dynaberg plan --emit`: what an apply would make, as a template of somebody else's language.

use std::path::Path;

use provision::policy::Touched;
use provision::template::{Language, Template, owner_of, template};
use provision::{Blueprint, Declaration};
use serde_json::Value;

use crate::aws::Aws;
use crate::cli::{Emitted, PlanArgs};
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::verb::sql::parse_catalog;
use crate::wiring::{declare, refuse_leaks, touched};

const TRY: &str = "dynaberg plan PIPELINE.toml --emit cloudformation";

pub async fn run(arguments: PlanArgs, language: Emitted) -> Outcome {
    let [path] = arguments.pipelines.as_slice() else {
        return Err(Failure::new(Exit::Usage, "a template is of one pipeline").advise(TRY));
    };
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let file = PipelineFile::read(path)?;
    refuse_leaks(std::slice::from_ref(&file))?;
    let earlier = arguments.output_file.as_deref().map(|path| earlier(path, &file)).transpose()?.flatten();
    let aws = Aws::from_environment(system::ambient()).await?;
    let services = aws.services().await?;
    let touched = touched(&file, catalog.as_ref(), Some(&services.caller.account), &aws).await?;
    let declaration = declare(&file, catalog.as_ref(), &aws, &services).await?.declaration;
    let touched = Touched { kinesis_stream: stream_of(&declaration).unwrap_or(touched.kinesis_stream), ..touched };
    let plan = provision::plan(&declaration, &services).await?;
    plan.refuse_clashes()?;
    let language = match language {
        Emitted::CloudFormation => Language::CloudFormation,
        Emitted::Terraform => Language::Terraform,
    };
    let template = template(language, &declaration, &plan, &touched, earlier.as_ref());
    match &arguments.output_file {
        Some(path) => {
            write(path, &template.document)?;
            output::line(format_args!("wrote {}", path.display()))?;
            notes(&template).iter().try_for_each(output::line)
        }
        None => {
            output::json(&template.document)?;
            // Standard output is the template's.
            notes(&template).iter().for_each(|note| eprintln!("{note}"));
            Ok(())
        }
    }
}

/// What the template does not do.
fn notes(template: &Template) -> Vec<String> {
    let left_out = template.left_out.iter().map(|title| format!("  left out, as it is there already: {title}"));
    let by_hand = template.by_hand.iter().map(|by_hand| format!("  by hand: {}\n    {}", by_hand.why, by_hand.command));
    left_out.chain(by_hand).collect()
}

/// The Kinesis stream that the table's changes go to, by name or ARN.
fn stream_of(declaration: &Declaration) -> Option<String> {
    declaration.resources.iter().find_map(|resource| match resource.blueprint() {
        Blueprint::KinesisDestination { stream, .. } => Some(stream),
        _ => None,
    })
}

/// The template that is there: of this pipeline, or none.
fn earlier(path: &Path, file: &PipelineFile) -> Outcome<Option<Value>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    match owner_of(&document) == Some(&format!("pipeline/{}", file.name)) {
        true => Ok(Some(document)),
        false => Err(Failure::new(
            Exit::Configuration,
            format!("{} is no template of the pipeline {}", path.display(), file.name),
        )
        .advise("move it away, or another --output-file")),
    }
}

fn write(path: &Path, document: &Value) -> Outcome {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::caused_by(Exit::Other, &error))?;
    std::fs::write(path, text + "\n").map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Configuration, format!("the template {}: {error}", path.display())).advise("--output-file FILE")
}
