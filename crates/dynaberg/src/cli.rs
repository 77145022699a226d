//! The command line: what `--help` shows.

mod dlq;
mod doctor;
mod pipelines;
mod provision;
mod running;
mod tables;

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use dlq::{
    DlqArgs, DlqFirehoseArgs, DlqListArgs, DlqPurgeArgs, DlqRedriveArgs, DlqShowArgs, DlqTryArgs, DlqVerb,
    SelectionArgs,
};
pub use doctor::DoctorArgs;
pub use pipelines::{CheckArgs, ExplainArgs, InitArgs, ProveArgs, ReplayArgs, RewindArgs, TapArgs, TapFrom};
pub use provision::{
    ApplyArgs, ContextArgs, DeployArgs, DestroyArgs, DiffArgs, Emitted, IamPolicyArgs, LsArgs, PlanArgs, PolicyFor,
};
pub use running::{Auth, ConsoleArgs, DemoArgs, DevArgs, KinesisArgs, MetricsForm, RunArgs, StatusArgs, WaitArgs};
pub use tables::{MaintainArgs, SchemaArgs, SchemaChangeArgs, SqlArgs, TablesArgs, TablesListArgs, TablesVerb};

use crate::config::{parse_duration, parse_size};

/// Keeps an Apache Iceberg copy of DynamoDB tables: seconds fresh, exactly right, cheap to read.
#[derive(Parser)]
#[command(name = "dynaberg", version, max_term_width = 100)]
pub struct Cli {
    /// Print less: warnings and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// How log lines look. Without it, text on a terminal and JSON elsewhere.
    #[arg(long, global = true, value_enum, env = "DYNABERG_LOG_FORM", value_name = "FORM")]
    pub log: Option<LogForm>,

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
    /// Compare what pipelines need with what is there, and show what an apply would do.
    Plan(PlanArgs),
    /// Make what a plan says.
    Apply(ApplyArgs),
    /// Make the blog's stacks from its context file, and run what they are for.
    Deploy(DeployArgs),
    /// Compare the blog's stacks with what is there.
    Diff(DiffArgs),
    /// Show the names of the blog's stacks.
    Ls(LsArgs),
    /// Remove what an apply or a deploy has made.
    Destroy(DestroyArgs),
    /// Print the rights that a pipeline needs, and no more, each with its reason.
    IamPolicy(IamPolicyArgs),
    /// Look at a deployment in the style of the AWS sample: which of its known faults it has, and how to move without loss.
    Doctor(DoctorArgs),
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
    /// Wait until everything written to the sources before this call is committed, or a delivery stream has delivered.
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
pub enum LogForm {
    Text,
    /// One object a line, with a stable `code` where there is something to do.
    Json,
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
