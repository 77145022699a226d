//! Verbs that make and remove what pipelines and stacks need.

use std::path::PathBuf;

use clap::Args;

use super::{CatalogArgs, Format};

#[derive(Args)]
pub struct PlanArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    /// End with 0 where there is nothing to do, with 2 where there are changes, with 1 after an error.
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct ApplyArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The plan that was agreed to, by its id. Nothing is done where the world has changed since.
    #[arg(long, value_name = "ID", required_unless_present = "dry_run")]
    pub plan: Option<String>,
    /// Show what would be made, and make nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DestroyArgs {
    /// A pipeline file, or stacks by name.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub what: Vec<String>,
    /// All three stacks, in the order that works.
    #[arg(long)]
    pub all: bool,
    /// The name of the pipeline or stack once more, `all` for all stacks; asked for on a terminal, where it is not given.
    #[arg(long, value_name = "NAME")]
    pub yes: Option<String>,
    /// Show what would go and what would stay, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}
