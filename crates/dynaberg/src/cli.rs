//! The command line: what `--help` shows.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use lake::maintain::compact::Strategy;

use crate::config::parse_duration;
use crate::wiring::RoundOptions;

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
    /// Show how the pipelines of a running `dev` or `run` fare.
    Status(StatusArgs),
    /// Wait until everything written to the sources before this call is committed.
    Wait(WaitArgs),
}

#[derive(Args)]
pub struct DevArgs {
    /// Pipeline files to run against the embedded services.
    pub pipelines: Vec<PathBuf>,
    /// Where tables, streams and objects are kept.
    #[arg(long, env = "DYNABERG_DATA_DIR", default_value = "./.dynaberg")]
    pub data_dir: PathBuf,
    /// Port of the AWS endpoint. 0 takes a free one.
    #[arg(long, env = "DYNABERG_PORT", default_value_t = 4566)]
    pub port: u16,
    /// Port of the console, `/health`, `/ready`, `/status` and `/metrics`. 0 takes a free one.
    #[arg(long, env = "DYNABERG_CONSOLE_PORT", default_value_t = 4567)]
    pub console_port: u16,
    /// Whether any access key is accepted, or only signatures of known keys.
    #[arg(long, env = "DYNABERG_AUTH", value_enum, default_value_t = Auth::Dev)]
    pub auth: Auth,
    /// After how long a shard of a DynamoDB stream is closed and continued by a child.
    #[arg(long, env = "DYNABERG_SHARD_ROTATION", default_value = "4h", value_parser = duration)]
    pub shard_rotation: Duration,
    #[command(flatten)]
    pub ready: ReadyArgs,
    #[command(flatten)]
    pub maintenance: MaintenanceArgs,
}

#[derive(Args)]
pub struct RunArgs {
    /// Pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    /// Where the key indexes are cached.
    #[arg(long, env = "DYNABERG_DATA_DIR", default_value = "./.dynaberg")]
    pub data_dir: PathBuf,
    /// Port of the console, `/health`, `/ready`, `/status` and `/metrics`. 0 takes a free one.
    #[arg(long, env = "DYNABERG_CONSOLE_PORT", default_value_t = 4567)]
    pub console_port: u16,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    #[command(flatten)]
    pub ready: ReadyArgs,
    #[command(flatten)]
    pub maintenance: MaintenanceArgs,
}

#[derive(Args, Clone, Copy)]
pub struct ReadyArgs {
    /// `/ready` answers 503 while a pipeline is further behind its source than this.
    #[arg(long, env = "DYNABERG_READY_LAG", default_value = "60s", value_parser = duration)]
    pub ready_lag: Duration,
}

#[derive(Args, Clone, Copy)]
pub struct MaintenanceArgs {
    /// How long tables are left alone between two rounds of compaction and expiry.
    #[arg(long, env = "DYNABERG_MAINTENANCE_PAUSE", default_value = "10s", value_parser = duration)]
    pub maintenance_pause: Duration,
    /// How long files of expired snapshots are kept, for queries that still read them.
    #[arg(long, env = "DYNABERG_EXPIRY_GRACE", default_value = "5m", value_parser = duration)]
    pub expiry_grace: Duration,
}

impl MaintenanceArgs {
    pub fn rounds(self) -> RoundOptions {
        RoundOptions { pause: self.maintenance_pause, grace: self.expiry_grace }
    }
}

#[derive(Args)]
pub struct DemoArgs {
    /// Keep the services up afterwards, until interrupted.
    #[arg(long)]
    pub stay: bool,
}

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
pub struct SqlArgs {
    /// The query; or several, parted by semicolons, which are answered one after the other.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub query: Option<String>,
    /// A file that holds the query or queries.
    #[arg(long, short)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<TableFormat>,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TablesArgs {
    #[command(subcommand)]
    pub verb: Option<TablesVerb>,
    #[command(flatten)]
    pub list: TablesListArgs,
}

#[derive(Args)]
pub struct TablesListArgs {
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Subcommand)]
pub enum TablesVerb {
    /// Show one table in full: files by size, deletes, snapshots, schema, properties, and which engines can read it.
    Show(TablesShowArgs),
}

#[derive(Args)]
pub struct TablesShowArgs {
    /// NAMESPACE.TABLE.
    pub table: String,
    #[command(flatten)]
    pub common: TablesListArgs,
}

#[derive(Args)]
pub struct MaintainArgs {
    /// NAMESPACE.TABLE.
    pub table: String,
    /// Show what would be done and what it gains, and change nothing.
    #[arg(long)]
    pub plan: bool,
    /// Size of the files that compaction makes, in MB. As S3 Tables was asked for the table, unless given.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub target_file_mb: Option<u64>,
    /// Order of the rows in them. As S3 Tables was asked for the table, unless given.
    #[arg(long, value_enum)]
    pub strategy: Option<CompactionStrategy>,
    /// Snapshots that stay however old they are.
    #[arg(long)]
    pub min_snapshots: Option<u32>,
    /// Snapshots older than this leave.
    #[arg(long, value_parser = duration)]
    pub max_snapshot_age: Option<Duration>,
    /// How long to wait before files of expired snapshots are deleted, for queries that still read them.
    #[arg(long, default_value = "1m", value_parser = duration_or_none)]
    pub grace: Duration,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CompactionStrategy {
    /// Sort where the table has a sort order, else binpack.
    Auto,
    /// Rows stay in the order they were written in.
    Binpack,
    /// By the table's sort order.
    Sort,
    /// Near in all columns of the sort order is near in the file.
    ZOrder,
}

impl From<CompactionStrategy> for Strategy {
    fn from(chosen: CompactionStrategy) -> Self {
        match chosen {
            CompactionStrategy::Auto => Self::Auto,
            CompactionStrategy::Binpack => Self::BinPack,
            CompactionStrategy::Sort => Self::Sort,
            CompactionStrategy::ZOrder => Self::ZOrder,
        }
    }
}

#[derive(Args)]
pub struct SchemaArgs {
    /// NAMESPACE.TABLE. Without it, the JSON Schema of the pipeline file is shown.
    pub table: Option<String>,
    #[command(flatten)]
    pub changes: SchemaChangeArgs,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

/// All of them are made in one commit, or none. Names are those of before; new columns come last.
#[derive(Args)]
#[command(group(ArgGroup::new("change").multiple(true)))]
pub struct SchemaChangeArgs {
    /// Add a column, empty in the rows there are: NAME:TYPE, or PLACE.NAME:TYPE within a struct.
    #[arg(long, value_name = "NAME:TYPE", group = "change")]
    pub add: Vec<String>,
    /// Rename a column: NAME=NEW. Its values stay.
    #[arg(long, value_name = "NAME=NEW", group = "change")]
    pub rename: Vec<String>,
    /// Widen int to long, float to double, a decimal to more digits: NAME:TYPE.
    #[arg(long, value_name = "NAME:TYPE", group = "change")]
    pub widen: Vec<String>,
    /// Let a required column be null.
    #[arg(long, value_name = "NAME", group = "change")]
    pub optional: Vec<String>,
    /// Drop a column. A column added under its name later is another one.
    #[arg(long, value_name = "NAME", group = "change")]
    pub drop: Vec<String>,
    /// Show what would change, and change nothing.
    #[arg(long, requires = "change")]
    pub plan: bool,
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

#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct WaitArgs {
    /// Give up after this long, with exit code 1.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub console: ConsoleArgs,
}

#[derive(Args, Clone)]
pub struct CatalogArgs {
    /// The lake: a table bucket's ARN, or the URI of an Iceberg REST catalog.
    /// Without it, the one table bucket of the endpoint.
    #[arg(long, env = "DYNABERG_CATALOG")]
    pub catalog: Option<String>,
}

#[derive(Args, Clone)]
pub struct ConsoleArgs {
    /// The console of a running `dev` or `run`.
    #[arg(long, env = "DYNABERG_CONSOLE", default_value = "http://127.0.0.1:4567")]
    pub console: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    Dev,
    Strict,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    Table,
    Json,
    Csv,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|(message, advice)| format!("{message}\n  Try: {advice}"))
}

/// `0s` too.
fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" { Ok(Duration::ZERO) } else { duration(text) }
}
