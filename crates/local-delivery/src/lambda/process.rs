//! Child processes that end with this one and stay within limits.

use std::io;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory that it can write to.
    pub memory_bytes: u64,
    /// The size of any file it writes.
    pub file_bytes: u64,
}

/// Starts processes from one thread that lives as long as it does.
///
/// Linux ends a child that asked for it when the *thread* that started it ends, and threads of a runtime come and go.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: std::sync::mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    /// Children are waited for on `runtime`.
    pub(crate) fn start(runtime: Handle) -> io::Result<Self> {
        let (requests, incoming) = std::sync::mpsc::channel::<Request>();
        let work = move || {
            let _runtime = runtime.enter();
            for mut request in incoming {
                // A caller that is gone drops its child, and that ends it.
                let _ = request.reply.send(request.command.spawn());
            }
        };
        std::thread::Builder::new().name("lambda-spawner".to_owned()).spawn(work)?;
        Ok(Self { requests })
    }

    /// Starts `command` in a process group of its own, within `limits`. The child is killed when it is dropped.
    pub(crate) async fn spawn(&self, mut command: Command, limits: Limits) -> io::Result<Child> {
        let ended = || io::Error::other("the thread that starts processes has ended");
        command.kill_on_drop(true);
        #[cfg(unix)]
        confine(command.process_group(0), limits);
        let (reply, started) = oneshot::channel();
        self.requests.send(Request { command, reply }).map_err(|_| ended())?;
        started.await.map_err(|_| ended())?
    }
}

/// Kills a process that leads its group, and what it started.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library kills processes, not their groups")]
pub(crate) fn kill_group(child: &Child) {
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    // SAFETY: a signal is sent, nothing is read or written. The child was not waited for, so the group is still its
    // own.
    unsafe { libc::kill(-id, libc::SIGKILL) };
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "limits are set between fork and exec, where there is no safe interface")]
fn confine(command: &mut Command, limits: Limits) {
    #[cfg(target_os = "linux")]
    let parent = std::process::id();
    let set = move || {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: both are system calls that take numbers only.
            let asked = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // The parent may have ended before we asked.
            let is_orphan = unsafe { libc::getppid() }.cast_unsigned() != parent;
            if asked != 0 || is_orphan {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        limit(libc::RLIMIT_DATA, limits.memory_bytes)?;
        limit(libc::RLIMIT_FSIZE, limits.file_bytes)?;
        limit(libc::RLIMIT_CORE, 0)
    };
    // SAFETY: `set` only makes system calls that are safe between fork and exec; it neither allocates nor locks.
    unsafe { command.pre_exec(set) };
}

#[cfg(all(unix, target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(all(unix, not(target_env = "gnu")))]
type Resource = libc::c_int;

#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library sets no limits")]
fn limit(resource: Resource, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` outlives the call, which only reads it.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
