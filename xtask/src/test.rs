//! `cargo xtask test`: Rust tests, then real clients against the real binary.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{build_binary, cargo, root, run};
use crate::{dynamodb_local, kinesalite, python};

pub fn run_all(pattern: Option<&str>) -> Result<()> {
    // The binary first: it is what `cargo run -- demo` has built already.
    let binary = build_binary("dev")?;
    let mut rust = cargo(&["test", "--workspace", "--quiet"]);
    rust.args(pattern);
    run(&mut rust)?;

    let mut pytest = Command::new(python::interpreter()?);
    pytest.args(["-m", "pytest", "tests/python", "-q", "-p", "no:cacheprovider"]).current_dir(root());
    pytest.env("DYNABERG_BIN", binary).env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(folder) = dynamodb_local::folder()? {
        pytest.env("DYNAMODB_LOCAL_DIR", folder);
    }
    if let Some(folder) = kinesalite::folder()? {
        pytest.env("KINESALITE_DIR", folder);
    }
    if let Some(pattern) = pattern {
        pytest.args(["-k", pattern]);
    }
    run(&mut pytest)
}
