//! `dynaberg sql` at a terminal: statements are asked for, line by line, until a semicolon ends them.
//!
//! Ctrl-C ends the query that runs, or drops what was typed. What was asked is remembered in `~/.dynaberg_history`.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ambient::Ambient;
use dialoguer::Input;
use dialoguer::theme::Theme;
use query::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::TableFormat;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;

use super::answer_all;

const REMEMBERED_MAX: usize = 1000;
const HELP: &str = "\
SELECT …;            several lines are one statement, up to its semicolon
SHOW TABLES;         tables; DESCRIBE t; SHOW DATABASES; EXPLAIN SELECT …;
.help  .quit         this, and the end
arrow keys           move in the line, and through what was asked before
Ctrl-C               ends the query that runs, or drops what was typed";

pub async fn run(engine: &Engine, format: TableFormat, ambient: &Ambient) -> Outcome {
    output::line(".help shows what can be typed here")?;
    let mut remembered = Remembered::load();
    // From here on Ctrl-C no longer ends the process.
    let _interrupts = interrupts()?;
    let mut typed = String::new();
    loop {
        // The terminal blocks.
        let prompt = if typed.is_empty() { "sql> " } else { "  -> " };
        let line = match tokio::task::block_in_place(|| read_line(prompt, &mut remembered)) {
            Ok(line) => line,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                typed.clear();
                continue;
            }
            Err(error) => return Err(Failure::new(Exit::Other, format!("read from the terminal: {error}"))),
        };
        match line.trim() {
            ".quit" | ".exit" if typed.is_empty() => return Ok(()),
            ".help" if typed.is_empty() => {
                output::line(HELP)?;
                continue;
            }
            _ => {}
        }
        typed.push_str(&line);
        typed.push('\n');
        let split = query::split(&typed);
        if split.is_open {
            continue;
        }
        let text = std::mem::take(&mut typed);
        if !query::split(&text).statements.is_empty() {
            // Only what comes from now on is meant for this query.
            let mut interrupts = interrupts()?;
            remembered.add(text.trim());
            tokio::select! {
                answered = answer_all(engine, &text, format, ambient) => {
                    if let Err(failure) = answered {
                        eprintln!("{failure}");
                    }
                }
                // The query's work ends as it is dropped.
                _ = interrupts.recv() => eprintln!("cancelled"),
            }
        }
    }
}

fn interrupts() -> Outcome<Signal> {
    signal(SignalKind::interrupt()).map_err(|error| Failure::new(Exit::Other, format!("listen for Ctrl-C: {error}")))
}

fn read_line(prompt: &str, remembered: &mut Remembered) -> std::io::Result<String> {
    let input = Input::<String>::with_theme(&Plain).with_prompt(prompt).allow_empty(true).history_with(remembered);
    input.interact_text().map_err(|dialoguer::Error::IO(error)| error)
}

/// The prompt, and what is typed behind it.
struct Plain;

impl Theme for Plain {
    fn format_input_prompt(
        &self,
        out: &mut dyn std::fmt::Write,
        prompt: &str,
        _default: Option<&str>,
    ) -> std::fmt::Result {
        out.write_str(prompt)
    }

    fn format_input_prompt_selection(
        &self,
        out: &mut dyn std::fmt::Write,
        prompt: &str,
        typed: &str,
    ) -> std::fmt::Result {
        write!(out, "{prompt}{typed}")
    }
}

/// What was asked, the latest last. A statement of several lines is one. The file keeps all, the latest of which are read.
struct Remembered {
    statements: Vec<String>,
    /// Where they are kept, if anywhere.
    file: Option<PathBuf>,
}

impl Remembered {
    fn load() -> Self {
        let file = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".dynaberg_history"));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let mut statements: Vec<String> = text.lines().map(str::to_owned).collect();
        let surplus = statements.len().saturating_sub(REMEMBERED_MAX);
        statements.drain(..surplus);
        Self { statements, file }
    }

    fn add(&mut self, statement: &str) {
        let line = statement.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
        if self.statements.last() == Some(&line) {
            return;
        }
        // A history that cannot be kept is no reason to stop.
        if let Some(file) = &self.file {
            let _ = append_private(file, &format!("{line}\n"));
        }
        self.statements.push(line);
    }
}

/// Statements may hold what nobody else on the machine is to read.
fn append_private(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

impl dialoguer::History<String> for Remembered {
    fn read(&self, back: usize) -> Option<String> {
        self.statements.iter().rev().nth(back).cloned()
    }

    /// Lines are parts; whole statements are added.
    fn write(&mut self, _line: &String) {}
}
