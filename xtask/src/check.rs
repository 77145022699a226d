//! `cargo xtask check`: what a change must pass.

use anyhow::{Result, bail, ensure};

use crate::workspace::{cache_dir, cargo, output};

pub fn run() -> Result<()> {
    run_cargo(&["fmt", "--all", "--check"])?;
    run_cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])?;
    walls()?;
    licences()?;
    crate::test::run_all(None)
}

/// AWS clients: they meet a server on a socket, never in a `use`.
const CLIENTS: [&str; 4] = ["pipeline", "lake", "provision", "query"];
/// What there may be only one copy of: two of them would not understand each other's values.
const SINGLE: [&str; 6] = ["arrow-array", "datafusion", "iceberg", "libsqlite3-sys", "object_store", "parquet"];
/// Cryptography that no dependency may bring in: `ring` does that work.
const BANNED: [&str; 3] = ["aws-lc-rs", "aws-lc-sys", "openssl-sys"];

/// Checks the arrows between our crates, and that what must be one is one.
pub fn walls() -> Result<()> {
    for client in CLIENTS {
        for dependency in ours(client)? {
            let is_server = dependency == "aws-wire" || dependency.starts_with("local-");
            ensure!(!is_server, "{client} is an AWS client, but depends on {dependency}");
        }
    }
    for crate_name in members()?.iter().filter(|name| name.starts_with("local-")) {
        for dependency in ours(crate_name)? {
            let is_sibling = dependency != *crate_name && dependency.starts_with("local-");
            ensure!(!is_sibling, "{crate_name} depends on {dependency}: name a trait, and let the binary plug it in");
        }
    }
    let packages = lines(&["tree", "--workspace", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])?;
    for name in SINGLE {
        let copies = packages.iter().filter(|package| package.split(' ').next() == Some(name)).count();
        ensure!(copies <= 1, "{copies} copies of {name}: `cargo tree --duplicates` shows who asks for them");
    }
    for package in &packages {
        let name = package.split(' ').next().unwrap_or_default();
        if BANNED.contains(&name) {
            bail!("{name} came in: `cargo tree --invert {name}` shows who asks for it");
        }
    }
    eprintln!("walls hold");
    Ok(())
}

/// The crates of this workspace that `name` depends on, at any depth, itself included.
fn ours(name: &str) -> Result<Vec<String>> {
    let members = members()?;
    let tree = lines(&["tree", "--package", name, "--edges", "normal", "--prefix", "none", "--format", "{p}"])?;
    let names = tree.iter().filter_map(|package| package.split(' ').next());
    Ok(names.filter(|name| members.iter().any(|member| member == name)).map(str::to_owned).collect())
}

fn members() -> Result<Vec<String>> {
    let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages.filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect())
}

/// Sorted distinct lines of a cargo command.
fn lines(arguments: &[&str]) -> Result<Vec<String>> {
    let text = output(&mut cargo(arguments))?;
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned()).collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// Licences, sources and banned crates, by cargo-deny; installed into the user's cache where it is missing.
fn licences() -> Result<()> {
    let tools = cache_dir()?.join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.exists() {
        let root = tools.to_string_lossy();
        run_cargo(&["install", "--locked", "--quiet", "--root", &root, "cargo-deny", "--version", DENY_VERSION])?;
    }
    // Builds need the crates of this platform only; licences are those of all.
    run_cargo(&["fetch", "--locked", "--quiet"])?;
    let mut command = std::process::Command::new(deny);
    command.args(["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    crate::workspace::run(command.current_dir(crate::workspace::root()))
}

const DENY_VERSION: &str = "0.20.2";

fn run_cargo(arguments: &[&str]) -> Result<()> {
    crate::workspace::run(&mut cargo(arguments))
}
