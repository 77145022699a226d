//! What a process used: CPU time and peak memory.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a process had used when it was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    pub peak_bytes: u64,
}

/// Wall time from now on: a benchmark is where it is measured.
#[allow(clippy::disallowed_methods)]
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// Waits for a child and gives what it used over its life.
pub fn wait(child: &Child) -> Result<(ExitStatus, Usage)> {
    let mut status = 0;
    // SAFETY: `rusage` is plain data, for which all zeroes is a value; wait4 writes only to the two places it is given.
    let (waited, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage), usage)
    };
    if waited < 0 {
        return Err(std::io::Error::last_os_error()).context("wait for a child");
    }
    let cpu = of_timeval(usage.ru_utime) + of_timeval(usage.ru_stime);
    Ok((ExitStatus::from_raw(status), Usage { cpu, peak_bytes: usage.ru_maxrss as u64 * 1024 }))
}

/// What a process that still runs has used.
pub fn look(pid: u32) -> Result<Usage> {
    let fields = stat(pid)?;
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    // Linux counts process times in hundredths of a second, whatever the kernel's own tick.
    Ok(Usage { cpu: Duration::from_millis(ticks * 10), peak_bytes: peak_kib * 1024 })
}

/// The CPU time of a process that still runs, and of those below it: running ones, and ones that were waited for.
pub fn family_cpu(pid: u32) -> Result<Duration> {
    let mut family = vec![pid];
    let mut ticks = 0;
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child: u32| Some((stat(child).ok()?[1].parse().ok()?, child)))
        .collect();
    while let Some(member) = family.pop() {
        // One that ended meanwhile is counted with its parent.
        let Ok(fields) = stat(member) else { continue };
        for field in &fields[11..15] {
            ticks += field.parse::<u64>()?;
        }
        family.extend(parents.iter().filter(|(parent, _)| *parent == member).map(|(_, child)| child));
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// The fields of a process's `stat` after its name: its state is the first.
fn stat(pid: u32) -> Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit(") ").next().unwrap_or_default().split(' ').map(str::to_owned).collect())
}

fn of_timeval(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
