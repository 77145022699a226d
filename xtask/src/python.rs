//! The Python environment of the cross-engine tests and benchmarks.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{cache_dir, root, run};

/// The interpreter of an environment with boto3, PyIceberg and DuckDB, made where it is missing.
///
/// It lies in the user's cache under a name that changes with the requirements.
pub fn interpreter() -> Result<PathBuf> {
    let requirements = root().join("tests/python/requirements.txt");
    let text = std::fs::read_to_string(&requirements).context("read tests/python/requirements.txt")?;
    let dir = cache_dir()?.join(format!("python-{:08x}", fingerprint(&text)));
    let interpreter = dir.join("bin/python");
    let complete = dir.join("complete");
    if !complete.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
        run(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements))?;
        std::fs::write(&complete, text)?;
    }
    Ok(interpreter)
}

/// FNV-1a: stable over versions of Rust, which is all it has to be.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
