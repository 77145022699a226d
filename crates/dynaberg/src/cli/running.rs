//! Verbs that run pipelines and services, and those that watch them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{CatalogArgs, Format, duration, size};
use crate::wiring::RoundOptions;

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
    /// Port on which psql, drivers and BI tools query the lake. 0 takes a free one, `off` none.
    #[arg(long, env = "DYNABERG_POSTGRES_PORT", default_value = "4568", value_name = "PORT|off", value_parser = optional_port)]
    pub postgres_port: OptionalPort,
    /// What queries may hold in memory together, such as 512MB or 2GB. Beyond it they spill into the data folder, then fail.
    #[arg(long, env = "DYNABERG_MEMORY", default_value = "1GB", value_parser = size)]
    pub memory: usize,
    /// Whether any access key is accepted, or only signatures of known keys.
    #[arg(long, env = "DYNABERG_AUTH", value_enum, default_value_t = Auth::Dev)]
    pub auth: Auth,
    /// Hold the user NAME, who calls with the access key id NAME, to an IAM policy, and write what they call into
    /// `calls.ndjson` in the data folder. With --auth strict, NAME is one of DYNABERG_KEYS.
    #[arg(long, value_name = "NAME=FILE")]
    pub enforce_policy: Vec<String>,
    /// After how long a shard of a DynamoDB stream is closed and continued by a child.
    #[arg(long, env = "DYNABERG_SHARD_ROTATION", default_value = "4h", value_parser = duration)]
    pub shard_rotation: Duration,
    #[command(flatten)]
    pub kinesis: KinesisArgs,
    #[command(flatten)]
    pub ready: ReadyArgs,
    #[command(flatten)]
    pub maintenance: MaintenanceArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// A port, or none.
#[derive(Clone, Copy)]
pub struct OptionalPort(pub Option<u16>);

fn optional_port(text: &str) -> Result<OptionalPort, String> {
    match text {
        "off" => Ok(OptionalPort(None)),
        port => port.parse().map(|port| OptionalPort(Some(port))).map_err(|_| "a port is wanted, or off".to_owned()),
    }
}

#[derive(Args, Clone, Copy)]
pub struct KinesisArgs {
    /// Repeat and swap this share of the records that DynamoDB delivers to Kinesis, as the real service may: 0.05.
    #[arg(long, env = "DYNABERG_KINESIS_FAULTS", default_value_t = 0.0, value_parser = share)]
    pub kinesis_faults: f64,
    /// Let shards of Kinesis take and give as much as they can, not as much as they do on AWS.
    #[arg(long, env = "DYNABERG_KINESIS_UNTHROTTLED")]
    pub kinesis_unthrottled: bool,
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1 is wanted".to_owned())
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
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

#[derive(Args, Clone, Copy)]
pub struct MetricsArgs {
    /// `emf` writes the metrics to standard output too, as lines that CloudWatch Logs makes metrics of.
    #[arg(long, env = "DYNABERG_METRICS", value_enum, default_value_t = MetricsForm::Prometheus)]
    pub metrics: MetricsForm,
    /// How often CloudWatch is told: by `emf`, and by `dev` of its own pipelines.
    #[arg(long, env = "DYNABERG_METRICS_INTERVAL", default_value = "60s", value_parser = duration)]
    pub metrics_interval: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsForm {
    /// On `/metrics` of the console port, and nowhere else.
    Prometheus,
    Emf,
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
pub struct StatusArgs {
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// `table` on a terminal and `json` in a pipe, unless given.
    #[arg(long, value_enum)]
    pub output: Option<Format>,
}

#[derive(Args)]
pub struct WaitArgs {
    /// Wait for this delivery stream of `dev` alone: until every record that it has taken is where it belongs.
    #[arg(long, value_name = "NAME")]
    pub delivery_stream: Option<String>,
    /// Give up after this long, with exit code 1.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    pub console: ConsoleArgs,
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
