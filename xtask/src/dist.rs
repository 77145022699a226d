//! `cargo xtask dist`: what is released. An archive, its list of what it is made of (`sbom.rs`), and their checksums.
//!
//! The same commit gives the same names, and from the same binary the same bytes: files are sorted, belong to nobody and
//! are as old as the commit.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::sbom;
use crate::workspace::{build_binary, cargo, output, root, run, target_dir};

/// What lies in the archive beside the binary.
const FILES: [&str; 7] = [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "deploy/alerts/alarms.json",
    "deploy/alerts/dynaberg.rules.yaml",
    "deploy/grafana/dynaberg.json",
    "deploy/systemd/dynaberg.service",
];

pub fn run_dist() -> Result<()> {
    let binary = build_binary("release")?;
    let release = Release::of_commit()?;
    let folder = target_dir()?.join("dist");
    release.write(&binary, &folder)?;
    let sums = std::fs::read_to_string(folder.join(SUMS)).context("read the checksums")?;
    print!("{sums}");
    Ok(())
}

const SUMS: &str = "SHA256SUMS";

/// What is released, and from when it is.
struct Release {
    version: String,
    /// `x86_64-unknown-linux-gnu`.
    target: String,
    /// Seconds since the Unix epoch.
    committed: String,
    /// RFC 3339.
    committed_at: String,
}

impl Release {
    fn of_commit() -> Result<Self> {
        let git = |format: &str| {
            let format = format!("--format={format}");
            output(Command::new("git").args(["log", "-1", &format, "--date=iso-strict"]).current_dir(root()))
        };
        let rustc = output(Command::new("rustc").arg("-vV"))?;
        let target = rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
        let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
        let binary = packages.iter().find(|package| package["name"] == "dynaberg").context("there is no dynaberg")?;
        Ok(Self {
            version: binary["version"].as_str().context("dynaberg has no version")?.to_owned(),
            target: target.to_owned(),
            committed: git("%ct")?.trim().to_owned(),
            committed_at: git("%cI")?.trim().to_owned(),
        })
    }

    /// `dynaberg-0.1.0-x86_64-unknown-linux-gnu`.
    fn name(&self) -> String {
        format!("dynaberg-{}-{}", self.version, self.target)
    }

    /// Writes archive, list and checksums into `folder`, in place of what lies there.
    fn write(&self, binary: &Path, folder: &Path) -> Result<()> {
        let name = self.name();
        let staging = folder.join(&name);
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => std::fs::create_dir_all(&staging)?,
        }
        std::fs::copy(binary, staging.join("dynaberg")).with_context(|| format!("copy {}", binary.display()))?;
        for file in FILES {
            let to = staging.join(file);
            std::fs::create_dir_all(to.parent().expect("it lies in the staging folder"))?;
            std::fs::copy(root().join(file), to).with_context(|| format!("copy {file}"))?;
        }
        let list = sbom::cyclonedx(&self.version, &self.target, &self.committed_at)?;
        let list_name = format!("{name}.cdx.json");
        std::fs::write(folder.join(&list_name), &list)?;
        std::fs::write(staging.join(&list_name), &list)?;
        let archive = self.pack(folder)?;
        std::fs::remove_dir_all(&staging)?;
        let mut sums = Command::new("sha256sum");
        sums.args([&archive, &list_name]).current_dir(folder);
        std::fs::write(folder.join(SUMS), output(&mut sums)?)?;
        Ok(())
    }

    fn pack(&self, folder: &Path) -> Result<String> {
        let (name, archive) = (self.name(), format!("{}.tar.gz", self.name()));
        let mut tar = Command::new("tar");
        tar.args([
            "--create",
            "--format",
            "ustar",
            "--sort",
            "name",
            "--owner",
            "0",
            "--group",
            "0",
            "--numeric-owner",
        ])
        .args(["--mode", "u=rwX,go=rX", "--mtime", &format!("@{}", self.committed)])
        .args(["--use-compress-program", "gzip --no-name --best", "--file", &archive, &name])
        .current_dir(folder);
        run(&mut tar)?;
        ensure!(folder.join(&archive).exists(), "tar wrote no archive");
        Ok(archive)
    }
}

/// Where a test may write.
#[cfg(test)]
fn scratch(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("dynaberg-{name}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_binary_and_commit_give_the_same_archive_whose_checksums_are_right() {
        let folder = scratch("dist");
        let binary = scratch("binary");
        std::fs::write(&binary, "not a program").unwrap();
        let release = Release::of_commit().unwrap();
        let sums = || {
            release.write(&binary, &folder).unwrap();
            std::fs::read_to_string(folder.join(SUMS)).unwrap()
        };
        assert_eq!(sums(), sums());
        assert!(sums().contains(&format!("{}.tar.gz", release.name())), "{}", sums());
        run(Command::new("sha256sum").args(["--check", "--strict", SUMS]).current_dir(&folder)).unwrap();
        let listed = output(
            Command::new("tar").args(["--list", "--file", &format!("{}.tar.gz", release.name())]).current_dir(&folder),
        );
        let listed = listed.unwrap();
        for file in ["dynaberg", "LICENSE", "deploy/systemd/dynaberg.service"] {
            assert!(listed.contains(&format!("{}/{file}\n", release.name())), "{listed}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::remove_file(&binary).unwrap();
    }
}
