//! What a function's process is started with.

use std::path::PathBuf;
use std::process::Stdio;

use ambient::Ambient;
use tokio::process::Command;

use crate::lambda::function::{Function, log_group};
use crate::lambda::function_name::{LATEST, Region};
use crate::lambda::log_stream::LogStream;
use crate::lambda::runtime_api::RuntimeApi;

/// Everything that starting a process takes.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub function: Function,
    pub region: Region,
    /// Where the code lies.
    pub code: PathBuf,
    pub log_folder: PathBuf,
    /// Our own program, which runs Python handlers.
    pub bootstrap: PathBuf,
    /// Where the function's AWS clients go, and whom they are.
    pub endpoint: String,
    pub credentials: FunctionCredentials,
    pub ambient: Ambient,
}

/// Credentials of a function's role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// Variables of ours that a function's process gets, so that interpreters are found and work.
const INHERITED: [&str; 9] =
    ["PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "PYENV_ROOT", "PYENV_VERSION", "SSL_CERT_FILE", "SYSTEMROOT"];

impl Launch {
    /// The interpreter with our program, or the package's own.
    pub(crate) fn command(&self, api: &RuntimeApi, log: &LogStream) -> std::io::Result<Command> {
        let (function, settings) = (&self.function, &self.function.settings);
        let mut command = match settings.is_python() {
            true => {
                let mut python = Command::new("python3");
                python.arg("-u").arg(&self.bootstrap);
                python
            }
            false => Command::new(self.code.join("bootstrap")),
        };
        command.current_dir(&self.code).env_clear();
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(&settings.environment);
        command.env("TZ", settings.environment.get("TZ").map_or(":UTC", String::as_str));
        command.env("LAMBDA_TASK_ROOT", &self.code);
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", api.address.to_string().as_str()),
            ("_HANDLER", &settings.handler),
            ("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", settings.runtime)),
            ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
            ("AWS_LAMBDA_FUNCTION_VERSION", LATEST),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &settings.memory_mb.to_string()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &log_group(&function.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &log.name),
            ("AWS_REGION", &self.region.name),
            ("AWS_DEFAULT_REGION", &self.region.name),
            ("AWS_ACCESS_KEY_ID", &self.credentials.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &self.credentials.secret_access_key),
        ]);
        if !settings.environment.contains_key("AWS_ENDPOINT_URL") {
            command.env("AWS_ENDPOINT_URL", &self.endpoint);
        }
        if let Some(token) = &self.credentials.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        command.stdin(Stdio::null()).stdout(log.output()?).stderr(log.output()?);
        Ok(command)
    }
}
