//! The processes of all functions: which run, which wait for the next event, and how many there may be.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambient::Ambient;
use aws_wire::AwsError;
use tokio::time::Instant;

use crate::lambda::environment::{Environment, Outcome, Work};
use crate::lambda::error;
use crate::lambda::function::Function;
use crate::lambda::function_name::Region;
use crate::lambda::launch::{FunctionCredentials, Launch};
use crate::lambda::package::{Code, PackageError, Packages, fingerprint};
use crate::lambda::process::Spawner;

/// Events that are worked on at a time, over all functions. Each has a process, and this is a laptop.
pub(crate) const CONCURRENCY_MAX: u32 = 100;

/// How long a process waits for another event.
const IDLE_TIME_MAX: Duration = Duration::from_secs(300);

/// Whom a function is: from the ARN of its role and the name of its session.
pub type CredentialsOf = Arc<dyn Fn(&str, &str) -> FunctionCredentials + Send + Sync>;

pub(crate) struct Fleet {
    pub packages: Packages,
    pub spawner: Spawner,
    /// Our own program, which runs Python handlers.
    pub bootstrap: PathBuf,
    pub logs: PathBuf,
    pub endpoint: String,
    pub credentials: CredentialsOf,
    pub ambient: Ambient,
    pub pools: Mutex<HashMap<String, Pool>>,
}

/// The processes of one function.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    running: u32,
    idle: Vec<Idle>,
}

#[derive(Debug)]
struct Idle {
    environment: Environment,
    /// The code and the settings that it runs.
    state: String,
    since: Instant,
}

impl Fleet {
    /// Runs a function on one event. Throttled at once where it may not have another process.
    pub(crate) async fn invoke(&self, region: &Region, function: &Function, work: Work) -> Result<Outcome, AwsError> {
        let arn = region.function_arn(&function.name);
        let _place = self.take_place(&arn, function)?;
        let (code, state) = self.code_of(function).await?;
        let mut environment = match self.take_idle(&arn, &state) {
            Some(environment) => environment,
            None => self.start(region, function, code).await?,
        };
        let outcome = environment.invoke(work).await;
        if environment.is_usable() {
            let idle = Idle { environment, state, since: Instant::now() };
            self.pools().entry(arn).or_default().idle.push(idle);
        }
        Ok(outcome)
    }

    /// Ends processes that have waited for long, and those of functions that are gone.
    pub(crate) fn end_idle(&self, is_known: impl Fn(&str) -> bool) {
        let mut ended = Vec::new();
        for (arn, pool) in self.pools().iter_mut() {
            let is_known = is_known(arn);
            ended.extend(pool.idle.extract_if(.., |idle| !is_known || idle.since.elapsed() > IDLE_TIME_MAX));
        }
        self.pools().retain(|_, pool| pool.running > 0 || !pool.idle.is_empty());
    }

    /// Ends all processes that wait. Those that work end with this process.
    pub(crate) fn end(&self) {
        self.pools().clear();
    }

    fn take_place(&self, arn: &str, function: &Function) -> Result<Place<'_>, AwsError> {
        let mut pools = self.pools();
        let running: u32 = pools.values().map(|pool| pool.running).sum();
        let pool = pools.entry(arn.to_owned()).or_default();
        if function.reserved_concurrency.is_some_and(|max| pool.running >= max) {
            return Err(error::throttled("ReservedFunctionConcurrentInvocationLimitExceeded"));
        }
        if running >= CONCURRENCY_MAX {
            return Err(error::throttled("ConcurrentInvocationLimitExceeded"));
        }
        pool.running += 1;
        Ok(Place { fleet: self, arn: arn.to_owned() })
    }

    /// Takes a process that waits and runs `state`; ends those that run something older.
    fn take_idle(&self, arn: &str, state: &str) -> Option<Environment> {
        let mut pools = self.pools();
        let idle = &mut pools.get_mut(arn)?.idle;
        let outdated: Vec<Idle> = idle.extract_if(.., |idle| idle.state != state).collect();
        let taken = idle.pop().map(|idle| idle.environment);
        drop(pools);
        drop(outdated);
        taken
    }

    async fn start(&self, region: &Region, function: &Function, code: PathBuf) -> Result<Environment, AwsError> {
        let launch = Launch {
            function: function.clone(),
            region: region.clone(),
            code,
            log_folder: self.logs.join(&region.account_id).join(&region.name).join(&function.name),
            bootstrap: self.bootstrap.clone(),
            endpoint: self.endpoint.clone(),
            credentials: (self.credentials)(&function.role, &function.name),
            ambient: self.ambient.clone(),
        };
        let program = if function.settings.is_python() { "python3" } else { "bootstrap" };
        Environment::start(launch, &self.spawner).await.map_err(|error| {
            let instead = if function.settings.is_python() {
                "put python3 on the PATH of `dynaberg dev`"
            } else {
                "an executable file `bootstrap` in the package"
            };
            error::invalid_runtime(format!("start {program}: {error}. Try: {instead}"))
        })
    }

    /// Where the code of a function lies, and what changes with it and with the settings.
    async fn code_of(&self, function: &Function) -> Result<(PathBuf, String), AwsError> {
        let code = function.code.clone();
        let revision = function.revision_id.clone();
        let unpacked = match &code {
            Code::Zip { .. } => {
                let packages = self.packages.clone();
                tokio::task::spawn_blocking(move || Ok((packages.unpacked(&code)?, revision))).await
            }
            Code::Folder { path } => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || {
                    let fingerprint = fingerprint(&path).map_err(|error| {
                        PackageError::Invalid(format!("read the function's folder {}: {error}", path.display()))
                    })?;
                    Ok((path, format!("{revision}/{fingerprint}")))
                })
                .await
            }
        };
        match unpacked.map_err(|panic| error::internal(&panic))? {
            Ok(unpacked) => Ok(unpacked),
            Err(PackageError::Invalid(message)) => Err(error::invalid_runtime(message)),
            Err(failed) => Err(error::internal(&failed)),
        }
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<String, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places that a function may have. Free again when it is dropped.
struct Place<'a> {
    fleet: &'a Fleet,
    arn: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.fleet.pools().get_mut(&self.arn) {
            pool.running -= 1;
        }
    }
}
