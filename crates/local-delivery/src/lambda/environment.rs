//! An execution environment: one process of a function, which takes one event after the other.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::lambda::function_name::LATEST;
use crate::lambda::launch::Launch;
use crate::lambda::log_stream::LogStream;
use crate::lambda::process::{Limits, Spawner};
use crate::lambda::runtime_api::{Invocation, RESPONSE_BYTES_MAX, Reply, RuntimeApi};

/// How long a process may take to ask for its first event. AWS gives ten seconds on machines that do nothing else.
const INIT_TIME_MAX: Duration = Duration::from_secs(60);

/// What interpreters reserve and hardly touch, such as the stacks of threads, on top of a function's memory.
const UNCOUNTED_BYTES: u64 = 128 << 20;

/// An event and what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub request_id: String,
    pub event: Bytes,
    pub client_context: Option<String>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The result, or the error as JSON.
    pub payload: Bytes,
    pub is_error: bool,
    /// The end of what was printed meanwhile.
    pub log_tail: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Environment {
    launch: Launch,
    child: Child,
    api: RuntimeApi,
    log: LogStream,
    is_initialized: bool,
    is_usable: bool,
}

impl Environment {
    /// Starts the process. Fails where the interpreter or the bootstrap cannot be run.
    pub(crate) async fn start(launch: Launch, spawner: &Spawner) -> std::io::Result<Self> {
        let api = RuntimeApi::listen().await?;
        let log = LogStream::create(&launch.log_folder, &launch.ambient)?;
        let command = launch.command(&api, &log)?;
        let settings = &launch.function.settings;
        let limits = Limits {
            memory_bytes: (u64::from(settings.memory_mb) << 20) + UNCOUNTED_BYTES,
            file_bytes: u64::from(settings.ephemeral_storage_mb) << 20,
        };
        let child = spawner.spawn(command, limits).await?;
        Ok(Self { launch, child, api, log, is_initialized: false, is_usable: true })
    }

    /// Whether it can take another event.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// Has the process work on one event, for the function's time at most.
    pub(crate) async fn invoke(&mut self, work: Work) -> Outcome {
        let (request_id, log_start) = (work.request_id.clone(), self.log.end());
        let failed = match self.initialize().await {
            Ok(()) => None,
            Err(failure) => Some((failure, Duration::ZERO)),
        };
        let (answer, duration) = match failed {
            Some(failed) => failed,
            None => self.run(work).await,
        };
        self.report(&request_id, duration);
        let (payload, is_error) = match answer {
            Answer::Response(payload) => (payload, false),
            Answer::Error(payload) => (payload, true),
            Answer::Lost(kind, message) => {
                self.is_usable = false;
                self.log.line(&format!("{request_id} {message}"));
                let message = format!("RequestId: {request_id} Error: {message}");
                (json!({ "errorType": kind, "errorMessage": message }).to_string().into(), true)
            }
        };
        Outcome { payload, is_error, log_tail: self.log.tail(log_start) }
    }

    /// Waits until the process asks for its first event.
    async fn initialize(&mut self) -> Result<(), Answer> {
        if self.is_initialized {
            return Ok(());
        }
        let stopped = tokio::select! {
            biased;
            initialized = self.api.initialized() => match initialized {
                Ok(()) => {
                    self.is_initialized = true;
                    return Ok(());
                }
                Err(told) => Answer::Error(told),
            },
            status = self.child.wait() => exited(status),
            () = tokio::time::sleep(INIT_TIME_MAX) => {
                let message = format!("Init timed out after {} seconds", INIT_TIME_MAX.as_secs());
                Answer::Lost("Sandbox.Timedout", message)
            }
        };
        self.is_usable = false;
        Err(stopped)
    }

    async fn run(&mut self, work: Work) -> (Answer, Duration) {
        let time_max = Duration::from_secs(self.launch.function.settings.timeout_seconds.into());
        let (reply, replied) = oneshot::channel();
        self.log.line(&format!("START RequestId: {} Version: {LATEST}", work.request_id));
        let invocation = Invocation {
            request_id: work.request_id,
            event: work.event,
            function_arn: self.launch.region.function_arn(&self.launch.function.name),
            deadline_ms: self.launch.ambient.now_ms() + time_max.as_millis() as i64,
            client_context: work.client_context,
            reply,
        };
        let started = Instant::now();
        let exchange = async {
            self.api.hand(invocation).await;
            replied.await
        };
        let answer = tokio::select! {
            biased;
            replied = exchange => match replied {
                Ok(Reply::Response(payload)) => Answer::Response(payload),
                Ok(Reply::Error(payload)) => Answer::Error(payload),
                Ok(Reply::TooLarge(bytes)) => Answer::Error(too_large(bytes)),
                Err(_) => Answer::Lost("Runtime.ExitError", "Runtime exited without providing a reason".to_owned()),
            },
            status = self.child.wait() => exited(status),
            () = tokio::time::sleep(time_max) => {
                let message = format!("Task timed out after {:.2} seconds", time_max.as_secs_f64());
                Answer::Lost("Sandbox.Timedout", message)
            }
        };
        (answer, started.elapsed())
    }

    fn report(&self, request_id: &str, duration: Duration) {
        let ms = duration.as_secs_f64() * 1000.0;
        let memory_mb = self.launch.function.settings.memory_mb;
        let used = self.peak_memory_mb().map_or_else(String::new, |mb| format!("\tMax Memory Used: {mb} MB"));
        self.log.line(&format!("END RequestId: {request_id}"));
        self.log.line(&format!(
            "REPORT RequestId: {request_id}\tDuration: {ms:.2} ms\tBilled Duration: {billed} ms\t\
             Memory Size: {memory_mb} MB{used}",
            billed = ms.ceil()
        ));
    }

    /// The most memory that the process had at a time, where the system tells.
    fn peak_memory_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kb: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kb.div_ceil(1024))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        #[cfg(unix)]
        crate::lambda::process::kill_group(&self.child);
    }
}

enum Answer {
    Response(Bytes),
    Error(Bytes),
    /// The process is gone, or will be: what AWS calls that, and a message.
    Lost(&'static str, String),
}

fn exited(status: std::io::Result<std::process::ExitStatus>) -> Answer {
    let message = match status {
        Ok(status) => format!("Runtime exited with error: {status}"),
        Err(_) => "Runtime exited without providing a reason".to_owned(),
    };
    Answer::Lost("Runtime.ExitError", message)
}

fn too_large(bytes: usize) -> Bytes {
    let message = format!(
        "Response payload size ({bytes} bytes) exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
    );
    json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": message }).to_string().into()
}
