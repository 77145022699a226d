//! Verbs on pipeline files, and the one that feeds files through a pipeline.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CatalogArgs, Format};

#[derive(Args)]
pub struct ReplayArgs {
    /// The pipeline file whose target the records go to.
    pub pipeline: PathBuf,
    /// Files of stream records, one JSON record a line; `.gz` and `.zst` too.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Commit after this many records, instead of by the pipeline's `[delivery]`.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub commit_every: Option<u64>,
    /// Where the key index is cached.
    #[arg(long, env = "DYNABERG_DATA_DIR", default_value = "./.dynaberg")]
    pub data_dir: PathBuf,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct RewindArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The moment: 2026-11-22T07:00:00Z. What the stream no longer holds is not read again.
    #[arg(long, value_name = "TIMESTAMP")]
    pub to: jiff::Timestamp,
    /// Where the key index is cached.
    #[arg(long, env = "DYNABERG_DATA_DIR", default_value = "./.dynaberg")]
    pub data_dir: PathBuf,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct TapArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Where to begin: with what is written from now on, or with the oldest record that the stream still holds.
    #[arg(long, value_enum, default_value_t = TapFrom::Latest)]
    pub from: TapFrom,
    /// End after so many records. Ctrl-C ends it, too.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json`, a document a line, in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TapFrom {
    Latest,
    TrimHorizon,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    /// Look at the files only, not at the source and the lake.
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct ProveArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Look at the file only, not at the source and the lake.
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct ExplainArgs {
    /// DYN110, or nothing for all of them.
    pub code: Option<String>,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct InitArgs {
    /// dynamodb:TABLE.
    #[arg(long)]
    pub from: String,
    /// NAMESPACE.TABLE of the lake.
    #[arg(long)]
    pub target: Option<String>,
    /// Where to write it; TABLE.toml, unless given. `-` is standard output.
    #[arg(long, short)]
    pub file: Option<PathBuf>,
}
