//! Verbs that make and remove what pipelines and stacks need.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CatalogArgs, ConsoleArgs, Format};

#[derive(Args)]
pub struct PlanArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    /// End with 0 where there is nothing to do, with 2 where there are changes, with 1 after an error.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print what an apply would make, the rights to run the pipeline and its alarms, as a template, for those who make
    /// things by templates alone.
    #[arg(long, value_enum, value_name = "LANGUAGE", conflicts_with_all = ["detailed_exitcode", "output"])]
    pub emit: Option<Emitted>,
    /// Where the template goes, in place of standard output. What the one that is there makes stays in it.
    #[arg(long, value_name = "FILE", requires = "emit")]
    pub output_file: Option<PathBuf>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Emitted {
    /// A template in JSON.
    #[value(name = "cloudformation")]
    CloudFormation,
    /// A configuration in Terraform's JSON syntax, for a file NAME.tf.json.
    Terraform,
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
    #[command(flatten)]
    pub context: ContextArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DeployArgs {
    /// PipelineStack, LakeFormationStack or FirehoseStack.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub stacks: Vec<String>,
    /// All three, in the order that works.
    #[arg(long)]
    pub all: bool,
    /// Show what would be made, and make nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub context: ContextArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct DiffArgs {
    /// Stacks by name; all three, unless given.
    pub stacks: Vec<String>,
    #[command(flatten)]
    pub context: ContextArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct LsArgs {
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct IamPolicyArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// What it is to allow.
    #[arg(long = "for", value_enum, default_value_t = PolicyFor::Run)]
    pub purpose: PolicyFor,
    /// The account, twelve digits. That of the file's catalog, or whose credentials these are, unless given.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table`, each statement with its reason, on a terminal, and `json`, the policy as IAM takes it, in a pipe, unless
    /// given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum PolicyFor {
    /// plan, apply and destroy.
    Apply,
    /// run, dlq and maintain.
    Run,
    /// sql.
    Query,
}

#[derive(Args, Clone)]
pub struct ContextArgs {
    /// The blog's context file.
    #[arg(long, value_name = "FILE", default_value = "cdk.context.json")]
    pub context: PathBuf,
    /// The ARN of the role or user that writes the table; the role dynaberg-TABLE of the account, unless given.
    #[arg(long, value_name = "ARN")]
    pub writer: Option<String>,
    #[command(flatten)]
    pub console: ConsoleArgs,
}
