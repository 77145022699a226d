//! `dynaberg check`: whether pipeline files are well formed, mean something, fit the world and pass their tests.

pub mod cases;
pub mod finding;
pub mod lint;
pub mod surroundings;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{CheckArgs, Format};
use crate::config::{Catalog, PipelineFile};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::system;
use finding::{Finding, Layer, Severity};
use surroundings::Surroundings;

use super::sql::parse_catalog;

/// The file cannot be read.
const UNREADABLE: &str = "DYN003";
/// Two pipelines of one name, or with one target.
const TWO_OF_ONE: &str = "DYN004";

/// What became of one file.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    /// Layers that were looked at without an error in them.
    passed: Vec<Layer>,
    /// How many tests there are.
    tests: usize,
    findings: Vec<Finding>,
}

pub async fn run(arguments: CheckArgs) -> Outcome {
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = match arguments.offline {
        true => None,
        false => Some(Aws::from_environment(system::ambient()).await?),
    };
    let mut reports = Vec::with_capacity(arguments.pipelines.len());
    for path in &arguments.pipelines {
        reports.push(check(path, catalog.as_ref(), aws.as_ref()).await);
    }
    let well_formed = reports.iter().all(|report| report.passed.contains(&Layer::Syntax));
    if well_formed && let Err(failure) = crate::config::read_pipelines(&arguments.pipelines) {
        let last = reports.last_mut().expect("clap asks for one file");
        let message = failure.message();
        let (message, advice) = message.split_once(". Try: ").unwrap_or((&message, "rename one of the files"));
        last.findings.push(Finding::new(Layer::Meaning, TWO_OF_ONE, &last.file, message.to_owned(), advice));
        last.passed.retain(|layer| *layer != Layer::Meaning);
    }

    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&reports)?,
        Format::Table => reports.iter().try_for_each(show)?,
    }
    let findings: Vec<Finding> = reports.into_iter().flat_map(|report| report.findings).collect();
    match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => Err(Failure::from(findings.as_slice())),
        false => Ok(()),
    }
}

async fn check(path: &Path, catalog: Option<&Catalog>, aws: Option<&Aws>) -> Report {
    let mut report = Report { file: path.to_owned(), passed: Vec::new(), tests: 0, findings: Vec::new() };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let advice = "the path of a TOML pipeline file";
            report.findings.push(Finding::new(
                Layer::Syntax,
                UNREADABLE,
                path,
                format!("read the file: {error}"),
                advice,
            ));
            return report;
        }
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file = match PipelineFile::examine(&text, path, name) {
        Ok(file) => file,
        Err(misfit) => {
            report.findings.push(Finding::at_place(Layer::Syntax, misfit, path, &text));
            return report;
        }
    };
    report.tests = file.cases.len();
    let mut layers = vec![Layer::Syntax];
    let mut surroundings = match aws {
        Some(aws) => {
            layers.push(Layer::Environment);
            Surroundings::look(path, &file, catalog, aws).await
        }
        None => Surroundings::default(),
    };
    report.findings.append(&mut surroundings.findings);
    if let Some(transform) = &file.transform {
        if let Some(sql) = lint::meaning(path, &text, &file, transform, &surroundings, &mut report.findings) {
            layers.push(Layer::Meaning);
            cases::run(path, &text, &file, &sql, &mut report.findings);
            layers.push(Layer::Tests);
        }
    } else {
        layers.push(Layer::Meaning);
    }
    report.findings.extend(lint::credentials(path, &text));
    layers.sort_unstable();
    let has_error = |layer: Layer| {
        report.findings.iter().any(|finding| finding.layer == layer && finding.severity == Severity::Error)
    };
    report.passed = layers.into_iter().filter(|layer| !has_error(*layer)).collect();
    report
}

fn show(report: &Report) -> Outcome {
    let failed = |layer: Layer| {
        report.findings.iter().any(|finding| finding.layer == layer && finding.severity == Severity::Error)
    };
    let layers = [
        (Layer::Syntax, "syntax".to_owned()),
        (Layer::Meaning, "meaning".to_owned()),
        (Layer::Environment, "environment".to_owned()),
        (Layer::Tests, format!("{} tests", report.tests)),
    ];
    let marks = layers.into_iter().filter_map(|(layer, name)| match (report.passed.contains(&layer), failed(layer)) {
        (true, _) => Some(format!("✓ {name}")),
        (false, true) => Some(format!("× {name}")),
        (false, false) => None,
    });
    output::line(format_args!("{}  {}", report.file.display(), marks.collect::<Vec<_>>().join("  ")))?;
    report.findings.iter().try_for_each(output::line)
}
