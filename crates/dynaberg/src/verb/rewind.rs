//! `dynaberg rewind`: a pipeline goes back to a moment, and reads from there on again.

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{Format, RewindArgs};
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::wiring;

use super::sql::parse_catalog;

#[derive(Serialize)]
struct Summary {
    pipeline: String,
    table: String,
    rewound_to: String,
}

pub async fn run(arguments: RewindArgs) -> Outcome {
    let ambient = system::ambient();
    let file = PipelineFile::read(&arguments.pipeline)?;
    let to_ms = arguments.to.as_millisecond();
    if to_ms > ambient.now_ms() {
        return Err(
            Failure::new(Exit::Usage, format!("{} has not come yet", arguments.to)).advise("a moment that is past")
        );
    }
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(ambient).await?;
    let index_dir = arguments.data_dir.join("index").join(&file.name);
    let summary = Summary {
        pipeline: file.name.clone(),
        table: file.target.to_string(),
        rewound_to: Timestamp::from_millisecond(to_ms).unwrap_or(arguments.to).to_string(),
    };
    wiring::rewind(file, catalog, &aws, index_dir, to_ms).await?;
    match output::format_or_default(arguments.output) {
        Format::Json => output::line(serde_json::to_string(&summary).expect("text serialises")),
        Format::Table => output::line(format_args!(
            "{} reads again from {} on. Start the pipeline: one that was running has stopped.",
            summary.table, summary.rewound_to
        )),
    }
}
