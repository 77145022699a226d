//! Runs the binary, and waits for what it prints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub fn dynaberg() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynaberg"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_") || name.starts_with("DYNABERG_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a verb to its end.
pub fn run(arguments: &[&str]) -> Output {
    dynaberg().args(arguments).output().expect("the binary starts")
}

/// The verb ends with `code`, and standard error has every one of `words`.
pub fn check_fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no `{word}` in:\n{stderr}");
    }
}

/// A `dynaberg dev` on free ports; stopped with its value.
pub struct Dev {
    child: Child,
    pub endpoint: String,
    pub console: String,
}

impl Dev {
    pub fn start(data_dir: &Path, pipelines: &[&Path]) -> Self {
        let mut command = dynaberg();
        command.arg("dev").args(pipelines).arg("--data-dir").arg(data_dir);
        command.args(["--port", "0", "--console-port", "0", "--postgres-port", "off"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut printed = |label: &str| {
            let line = lines.by_ref().map(Result::unwrap).find(|line| line.trim_start().starts_with(label));
            let line = line.unwrap_or_else(|| panic!("dev ended before it printed {label}"));
            line.trim_start()[label.len()..].split_whitespace().next().expect("a URL").to_owned()
        };
        let endpoint = printed("AWS endpoint");
        let console = printed("Console");
        Self { child, endpoint, console }
    }

    /// A verb against these services.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = dynaberg();
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "dev")
            .env("AWS_SECRET_ACCESS_KEY", "dev")
            .env("AWS_REGION", "us-east-1")
            .env("DYNABERG_CONSOLE", &self.console);
        command.output().expect("the binary starts")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
