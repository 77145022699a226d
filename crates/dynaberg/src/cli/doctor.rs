//! `dynaberg doctor`.

use clap::Args;

use super::{CatalogArgs, Format};

#[derive(Args)]
pub struct DoctorArgs {
    /// The DynamoDB table at the source.
    pub source: String,
    /// NAMESPACE.TABLE of the lake, which the deployment fills. Without it, what is in the lake is not looked at.
    #[arg(long)]
    pub table: Option<String>,
    #[command(flatten)]
    pub catalog: CatalogArgs,
    /// Items and rows that are compared: all of them, up to this many.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    pub sample: usize,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}
