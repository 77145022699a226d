//! kinesalite, a second opinion for the Kinesis tests. Used on this machine only, never shipped.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{cache_dir, run};

const PACKAGE: &str = "kinesalite";
const VERSION: &str = "3.3.3";

/// The folder that holds its `node_modules`; `None` where node or npm cannot be had, and the tests against it are
/// skipped.
pub fn folder() -> Result<Option<PathBuf>> {
    for tool in ["node", "npm"] {
        let works = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
        if !works {
            eprintln!("no kinesalite: `{tool} --version` does not work here");
            return Ok(None);
        }
    }
    let prefix = cache_dir()?.join(format!("{PACKAGE}-{VERSION}"));
    if !prefix.join("node_modules").join(PACKAGE).exists() {
        std::fs::create_dir_all(&prefix)?;
        let package = format!("{PACKAGE}@{VERSION}");
        let mut install = Command::new("npm");
        install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"]);
        run(install.arg(&prefix).arg(package))?;
    }
    Ok(Some(prefix))
}
