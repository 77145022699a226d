//! The command line: what `--help` shows.

mod dlq;
mod pipelines;
mod running;
mod tables;

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use dlq::{
    DlqArgs, DlqFirehoseArgs, DlqListArgs, DlqPurgeArgs, DlqRedriveArgs, DlqShowArgs, DlqTryArgs, DlqVerb,
    SelectionArgs,
};
pub use pipelines::{CheckArgs, ExplainArgs, InitArgs, ProveArgs, ReplayArgs, RewindArgs, TapArgs, TapFrom};
pub use running::{Auth, ConsoleArgs, DemoArgs, DevArgs, KinesisArgs, RunArgs, StatusArgs, WaitArgs};
pub use tables::{MaintainArgs, SchemaArgs, SchemaChangeArgs, SqlArgs, TablesArgs, TablesListArgs, TablesVerb};

use crate::config::{parse_duration, parse_size};

/// Keeps an Apache Iceberg copy of DynamoDB tables: seconds fresh, exactly right, cheap to read.
#[derive(Parser)]
#[command(name = "dynaberg", version, max_term_width = 100)]
pub struct Cli {
    /// Print less: warnings and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,

    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Serve the AWS endpoints on this machine, and run pipelines against them.
    Dev(DevArgs),
    /// Run pipelines in production, as a client of AWS.
    Run(RunArgs),
    /// Show the whole journey once: sample table, pipeline, writer, two analytics queries.
    Demo(DemoArgs),
    /// Feed files of stream records through a pipeline.
    Replay(ReplayArgs),
    /// Let a pipeline read its Kinesis stream again from a moment on.
    Rewind(RewindArgs),
    /// Show records of a pipeline's stream as they come, before and after its transform; values are hidden as in its table.
    Tap(TapArgs),
    /// Query the lake.
    Sql(SqlArgs),
    /// Show the tables of the lake: rows, files, deletes, snapshots.
    Tables(TablesArgs),
    /// Show the schemas that a table had, or change its schema.
    Schema(SchemaArgs),
    /// Check pipeline files: syntax, meaning, environment, tests.
    Check(CheckArgs),
    /// Show what reaches which column, and fail where something sensitive gets out.
    Prove(ProveArgs),
    /// Explain a code: what it means and what to do.
    Explain(ExplainArgs),
    /// Propose a pipeline file for a table, from a sample of its items.
    Init(InitArgs),
    /// Compact a table, expire its snapshots and delete files that nothing names; or show what that would do.
    Maintain(MaintainArgs),
    /// Show records that could not become rows, and bring them back.
    Dlq(DlqArgs),
    /// Show how the pipelines of a running `dev` or `run` fare.
    Status(StatusArgs),
    /// Wait until everything written to the sources before this call is committed.
    Wait(WaitArgs),
}

#[derive(Args, Clone)]
pub struct CatalogArgs {
    /// The lake: a table bucket's ARN, or the URI of an Iceberg REST catalog.
    /// Without it, the one table bucket of the endpoint.
    #[arg(long, env = "DYNABERG_CATALOG")]
    pub catalog: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    Table,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    Csv,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|(message, advice)| format!("{message}\n  Try: {advice}"))
}

fn size(text: &str) -> Result<usize, String> {
    parse_size(text).map_err(|(message, advice)| format!("{message}\n  Try: {advice}"))
}

/// `0s` too.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" { Ok(Duration::ZERO) } else { duration(text) }
}
