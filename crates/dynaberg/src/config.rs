//! The pipeline file: one TOML file, one source, one target.
//!
//! [`PipelineFile::read`] gives a file that means something: every value is parsed, and what cannot be honoured is
//! refused at its place in the file. The keys are described in `docs/src/pipeline-file.md`.

mod case;
mod place;
mod section;
mod transform;
mod value;

use std::path::{Path, PathBuf};

pub use case::{Case, Expect};
pub use place::Misfit;
pub use transform::{Allowance, Transform};
pub use value::{Catalog, TargetName, parse_duration, parse_size};

use crate::failure::{Exit, Failure, Outcome};
use section::Sections;
use value::S3Prefix;

/// The JSON Schema of the file, for editors.
pub const JSON_SCHEMA: &str = include_str!("config/dynaberg.schema.json");

/// The stream that the changes of the source table are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStream {
    DynamoDb,
    /// By name or ARN; the only one of the table where it is not named.
    Kinesis {
        named: Option<String>,
        /// The consumer to which records are pushed; they are polled without one.
        fan_out: Option<String>,
    },
}

/// A pipeline as declared.
#[derive(Clone, Debug)]
pub struct PipelineFile {
    /// The file's stem. It names the checkpoint, the index folder and the metrics.
    pub name: String,
    pub path: PathBuf,
    pub source_table: String,
    pub stream: SourceStream,
    pub start: pipeline::StartPosition,
    /// `None`: the lake's only table bucket, or `--catalog`.
    pub catalog: Option<Catalog>,
    pub target: TargetName,
    pub mode: pipeline::Mode,
    pub partition: Vec<pipeline::PartitionField>,
    pub evolve: bool,
    pub delivery: pipeline::Delivery,
    /// `None`: every attribute is copied.
    pub transform: Option<Transform>,
    /// A function that records pass through, in place of a transform.
    pub lambda: Option<pipeline::FunctionName>,
    /// `[[test]]`.
    pub cases: Vec<Case>,
    pub dead_letters: Option<S3Prefix>,
    /// The SQS queue that is told of them, by name or URL.
    pub dead_letter_queue: Option<String>,
    /// How held letters are tried again by themselves.
    pub retries: Option<pipeline::Retries>,
}

impl PipelineFile {
    pub fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Configuration, format!("read pipeline file {}: {error}", path.display()))
                .advise("give the path of a TOML pipeline file, such as examples/transactions/transactions.toml")
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&text, path, name)
    }

    pub fn parse(text: &str, path: &Path, name: String) -> Outcome<Self> {
        Self::examine(text, path, name).map_err(|misfit| misfit.into_failure(path, text))
    }

    /// The same, for those who do more with what is wrong than to say it.
    pub fn examine(text: &str, path: &Path, name: String) -> Result<Self, Misfit> {
        Sections::parse(text)?.into_pipeline(path, text, name)
    }
}

/// Reads every file, and refuses two pipelines that share a name or write one target.
pub fn read_pipelines(paths: &[PathBuf]) -> Outcome<Vec<PipelineFile>> {
    let mut pipelines: Vec<PipelineFile> = Vec::with_capacity(paths.len());
    for path in paths {
        let pipeline = PipelineFile::read(path)?;
        for other in &pipelines {
            if other.name == pipeline.name {
                return Err(two_of_one("name", &pipeline.name, other, &pipeline)
                    .advise("rename one of the files: its stem names the pipeline and its checkpoint"));
            }
            if other.target == pipeline.target && other.catalog == pipeline.catalog {
                return Err(two_of_one("target", &pipeline.target.to_string(), other, &pipeline)
                    .advise("give each pipeline a table of its own; a table has one committer"));
            }
        }
        pipelines.push(pipeline);
    }
    Ok(pipelines)
}

fn two_of_one(what: &str, value: &str, first: &PipelineFile, second: &PipelineFile) -> Failure {
    let (first, second) = (first.path.display(), second.path.display());
    Failure::new(Exit::Configuration, format!("two pipelines have the {what} `{value}`: {first} and {second}"))
}

#[cfg(test)]
mod tests;
