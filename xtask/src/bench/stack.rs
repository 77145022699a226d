//! A `dynaberg dev` for a benchmark, with the blog's table bucket, namespace and table in it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Usage, family_cpu, look};
use crate::python;
use crate::workspace::{root, run};

pub const CATALOG: &str = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket";

/// No maintenance as long as a benchmark runs.
pub const NEVER: &str = "24h";

/// Ends with its value.
pub struct Stack {
    pub binary: PathBuf,
    pub data_dir: PathBuf,
    pub endpoint: String,
    pub console: String,
    /// The URL that psql takes.
    pub postgres: String,
    server: Child,
}

impl Stack {
    /// Starts the services in an empty `data_dir`, with `pipelines`, and with `pause` between two rounds of maintenance.
    pub fn start(binary: &Path, data_dir: &Path, pipelines: &[&Path], pause: &str) -> Result<Self> {
        Self::start_with(binary, data_dir, pipelines, &["--maintenance-pause", pause])
    }

    /// Starts the services in an empty `data_dir`, with `pipelines` and with further arguments of `dynaberg dev`.
    pub fn start_with(binary: &Path, data_dir: &Path, pipelines: &[&Path], arguments: &[&str]) -> Result<Self> {
        if data_dir.exists() {
            std::fs::remove_dir_all(data_dir).context("empty the benchmark's data folder")?;
        }
        let mut command = Command::new(binary);
        command.arg("--quiet").arg("dev").args(pipelines).arg("--data-dir").arg(data_dir);
        command.args(arguments).args(["--expiry-grace", "1s"]);
        command.args(["--port", "0", "--console-port", "0", "--postgres-port", "0"]).stdout(Stdio::piped());
        let mut server = command.spawn().context("start dynaberg dev")?;
        let mut lines = BufReader::new(server.stdout.take().context("its output")?).lines();
        let mut printed = |label: &str| -> Result<String> {
            for line in lines.by_ref() {
                if let Some(rest) = line?.trim_start().strip_prefix(label) {
                    return Ok(rest.split_whitespace().next().unwrap_or_default().to_owned());
                }
            }
            anyhow::bail!("dynaberg dev ended before it printed `{label}`")
        };
        let endpoint = printed("AWS endpoint")?;
        let console = printed("Console")?;
        let postgres = printed("PostgreSQL")?;
        Ok(Self { binary: binary.to_owned(), data_dir: data_dir.to_owned(), endpoint, console, postgres, server })
    }

    /// Makes the table bucket, the namespace and the 22-column table.
    pub fn make_table(&self) -> Result<()> {
        let definition = format!("file://{}", root().join("examples/transactions/tabledefinition.json").display());
        self.aws(&["s3tables", "create-table-bucket", "--name", "streamtablebucket"])?;
        self.aws(&["s3tables", "create-namespace", "--table-bucket-arn", CATALOG, "--namespace", "analytics"])?;
        self.aws(&["s3tables", "create-table", "--cli-input-json", &definition])?;
        self.aws(&["s3api", "create-bucket", "--bucket", "streambucket"])
    }

    /// A command of the AWS CLI against these services.
    pub fn aws(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(python::interpreter()?.with_file_name("aws"));
        run(self.environment(command.args(arguments)).stdout(Stdio::null()))
    }

    /// A verb of the binary against these services.
    pub fn verb(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--quiet").args(arguments);
        self.environment(&mut command);
        command
    }

    pub fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "dev")
            .env("AWS_SECRET_ACCESS_KEY", "dev")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("DYNABERG_CONSOLE", &self.console)
    }

    /// What the services have used so far.
    pub fn usage(&self) -> Result<Usage> {
        look(self.server.id())
    }

    /// What the services and the functions that they run have used so far.
    pub fn family_cpu(&self) -> Result<Duration> {
        family_cpu(self.server.id())
    }

    /// Bytes of all objects of all tables, without what the embedded catalog keeps for itself.
    pub fn object_bytes(&self) -> Result<u64> {
        size_of(&self.data_dir.join("warehouse/buckets"))
    }

    /// Bytes of all files below the data folder's warehouse.
    pub fn stored_bytes(&self) -> Result<u64> {
        size_of(&self.data_dir.join("warehouse"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // It holds nothing but a benchmark's data.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// Bytes of all files below `path`.
fn size_of(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// What the files of a folder take on the disk, holes apart. One that goes meanwhile counts nothing.
pub fn blocks_of(path: &Path) -> Result<u64> {
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => blocks_of(&entry.path()).unwrap_or_default(),
            Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
