//! Tells the service manager how this process fares: systemd's notification protocol, a datagram of `NAME=value` lines.
//!
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::wiring::Roster;

/// The manager that started this process, if it wants to be told.
pub struct ServiceManager {
    socket: UnixDatagram,
    /// How often it wants to hear of us.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`; `None` where nobody listens.
    pub fn from_environment() -> Option<Self> {
        let path = std::env::var("NOTIFY_SOCKET").ok()?;
        let connect = || -> std::io::Result<UnixDatagram> {
            let socket = UnixDatagram::unbound()?;
            match path.strip_prefix('@') {
                #[cfg(target_os = "linux")]
                Some(name) => {
                    use std::os::linux::net::SocketAddrExt;
                    socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
                }
                _ => socket.connect(&path)?,
            }
            Ok(socket)
        };
        let socket = connect().inspect_err(|error| tracing::warn!(%error, "reach the service manager")).ok()?;
        let microseconds = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Some(Self { socket, watchdog: microseconds.map(Duration::from_micros) })
    }

    /// Says that we are up, then that we are alive as long as every pipeline is on a task that runs, until `shutdown`.
    pub async fn keep_told(self, pipelines: Roster, shutdown: CancellationToken) {
        self.tell(&format!("READY=1\nSTATUS={} pipelines", pipelines.list().len()));
        // Twice as often as asked for: a beat that is late by a little is no death.
        if let Some(every) = self.watchdog.map(|watchdog| watchdog / 2).filter(|every| !every.is_zero()) {
            let mut beats = tokio::time::interval(every);
            while shutdown.run_until_cancelled(beats.tick()).await.is_some() {
                match pipelines.list().into_iter().find(|pipeline| pipeline.has_ended()) {
                    None => self.tell("WATCHDOG=1"),
                    Some(ended) => {
                        tracing::error!(code = "DYN807", pipeline = ended.name, "the watchdog is not told any more");
                        break;
                    }
                }
            }
        }
        shutdown.cancelled().await;
        self.tell("STOPPING=1");
    }

    /// A manager that has gone is no reason to fail.
    fn tell(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()) {
            tracing::debug!(%error, "the service manager is not told");
        }
    }
}
