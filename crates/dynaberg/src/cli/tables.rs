//! Verbs on the tables of the lake.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use lake::maintain::compact::Strategy;

use super::{CatalogArgs, Format, TableFormat, duration, duration_or_none, size};

#[derive(Args)]
pub struct SqlArgs {
    /// The query; or several, parted by semicolons, which are answered one after the other. Without it, and without a
    /// file, they are asked for on a terminal, or read from standard input.
    #[arg(conflicts_with = "file")]
    pub query: Option<String>,
    /// A file that holds the query or queries.
    #[arg(long, short)]
    pub file: Option<PathBuf>,
    /// What a query may hold in memory, such as 512MB or 2GB. Beyond it, it spills into the folder for temporary files, then
    /// fails. What the machine has, unless given.
    #[arg(long, env = "DYNABERG_MEMORY", value_parser = size)]
    pub memory: Option<usize>,
    /// Ask as this user of the embedded services, through Athena and under the user's grants.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "memory")]
    pub principal: Option<String>,
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
