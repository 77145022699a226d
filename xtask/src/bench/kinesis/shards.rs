//! A stream of a thousand shards: how soon a pipeline knows them, and what it takes while nothing happens.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::behind::make_source;
use super::{pipeline, start};
use crate::bench::process::{look, stopwatch, wait};

const SHARDS: usize = 1_000;
/// Shards are asked less and less often at first.
const SETTLES_IN: Duration = Duration::from_secs(30);
const IDLE_SECONDS: u64 = 60;

pub fn run(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    stack.make_table()?;
    make_source(&stack, SHARDS)?;
    let console = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let pipeline = pipeline(&stack.data_dir)?;
    let started = stopwatch();
    let mut reading = stack.verb(&["run", "--data-dir"]);
    reading.arg(stack.data_dir.join("run")).args(["--console-port", &console.port().to_string()]).arg(&pipeline);
    let mut reading = reading.stdout(Stdio::null()).spawn().context("start dynaberg run")?;
    let url = format!("http://{console}");
    while !stack.verb(&["wait", "--timeout", "60s", "--console", &url]).stderr(Stdio::null()).status()?.success() {
        ensure!(reading.try_wait()?.is_none(), "dynaberg run ended");
    }
    let ready = started.elapsed();
    std::thread::sleep(SETTLES_IN);
    let (before, served_before) = (look(reading.id())?, stack.usage()?);
    std::thread::sleep(Duration::from_secs(IDLE_SECONDS));
    let share = |cpu: Duration| cpu.as_secs_f64() / IDLE_SECONDS as f64 * 100.0;
    let own = share(look(reading.id())?.cpu.saturating_sub(before.cpu));
    let served = share(stack.usage()?.cpu.saturating_sub(served_before.cpu));
    // SAFETY: it is our own child, which has not been waited for.
    unsafe { libc::kill(reading.id() as libc::pid_t, libc::SIGTERM) };
    wait(&reading)?;
    println!(
        "{SHARDS} shards: all read {:.1} s after the start of `dynaberg run`; idle, it takes {own:.1} % of a core, the services {served:.1} %",
        ready.as_secs_f64()
    );
    Ok(())
}
