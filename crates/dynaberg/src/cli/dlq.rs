//! Verbs on dead letters.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CatalogArgs, ConsoleArgs, Format};

#[derive(Args)]
pub struct DlqArgs {
    #[command(subcommand)]
    pub verb: DlqVerb,
}

#[derive(Subcommand)]
pub enum DlqVerb {
    /// Show the held letters of pipelines by their code, with the first, the last and an example.
    List(DlqListArgs),
    /// Show letters: position, key, reason, and with --record the record itself.
    Show(DlqShowArgs),
    /// Go through a redrive with the transform as it is in the file now, without doing it.
    Try(DlqTryArgs),
    /// Have the running pipeline take letters up again. It never puts an older state over a newer one.
    Redrive(DlqRedriveArgs),
    /// Let letters go for good, and delete them.
    Purge(DlqPurgeArgs),
    /// Show the records in the error objects of a Data Firehose delivery stream, or put them into it again.
    Firehose(DlqFirehoseArgs),
}

#[derive(Args)]
pub struct DlqListArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DlqShowArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Only letters with this code.
    #[arg(long)]
    pub code: Option<String>,
    /// How many letters at most.
    #[arg(long, default_value_t = 10)]
    pub limit: usize,
    /// Show the whole records. They hold values that a transform would have masked.
    #[arg(long)]
    pub record: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

/// Which letters: those to which everything given applies.
#[derive(Args, Clone)]
pub struct SelectionArgs {
    /// Only letters with this code.
    #[arg(long)]
    pub code: Option<String>,
    /// Only letters rejected since then: 2026-11-22T09:00:00Z, or 30m for half an hour ago.
    #[arg(long)]
    pub since: Option<String>,
    /// Only letters rejected before then: 2026-11-22T09:15:00Z, or 5m for five minutes ago.
    #[arg(long)]
    pub until: Option<String>,
    /// The first so many of them.
    #[arg(long)]
    pub limit: Option<u64>,
}

#[derive(Args)]
pub struct DlqTryArgs {
    /// The pipeline file, edited.
    pub pipeline: PathBuf,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DlqRedriveArgs {
    /// The pipeline file, or the name of the pipeline.
    pub pipeline: PathBuf,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DlqFirehoseArgs {
    /// The delivery stream.
    pub delivery_stream: String,
    /// Put the selected records into the delivery stream again, and take them out of the error objects.
    #[arg(long)]
    pub redrive: bool,
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DlqPurgeArgs {
    /// The pipeline file, or the name of the pipeline.
    pub pipeline: PathBuf,
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The name of the pipeline once more; asked for on a terminal, where it is not given.
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}
