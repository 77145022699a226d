//! AWS Lambda: functions that run as processes of this machine, and event source mappings that feed them.
//!
//! `service` leads a request (`request`) to its operation: `functions`, `concurrency`, `tags`, `invoke`. A function
//! (`function`, its `settings`, its code in `package`) runs in processes that the `fleet` keeps warm: each is an
//! `environment`, which takes its events from a `runtime_api` of its own, prints to a `log_stream`, and ends with us
//! (`process`). Events accepted for later wait in `events`; `mapping` has those of streams and queues. What must be
//! remembered is in `store`; other services are `neighbours`.

mod concurrency;
mod environment;
mod error;
mod events;
mod fleet;
mod function;
mod function_name;
mod functions;
mod invoke;
mod launch;
mod log_stream;
mod mapping;
mod neighbours;
mod package;
mod process;
mod request;
mod runtime_api;
mod service;
mod settings;
mod settings_change;
mod store;
mod tags;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use aws_wire::RestService;
use tokio_util::sync::CancellationToken;

pub use fleet::CredentialsOf;
pub use launch::FunctionCredentials;
pub use neighbours::{Neighbours, ObjectError, Objects};

use fleet::Fleet;
use function::Function;
use package::{Code, Packages};
use process::Spawner;
use service::Service;
use store::Store;

/// How often processes that wait are looked through.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);

/// Runs Python handlers. Ours, so that nothing has to be installed.
const BOOTSTRAP: &str = include_str!("lambda/bootstrap.py");

/// Why Lambda cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open Lambda's store")]
pub struct LambdaError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// What functions get of the process that runs them.
pub struct LambdaOptions {
    /// Where functions find AWS: `http://127.0.0.1:4566`.
    pub endpoint: String,
    pub credentials: CredentialsOf,
    pub neighbours: Neighbours,
}

/// AWS Lambda in one data folder. Cheap to clone.
#[derive(Clone)]
pub struct Lambda {
    service: Service,
}

impl Lambda {
    /// Opens what Lambda remembers in `folder`, which is its own, and makes it where there is none. May block.
    pub fn open(folder: &Path, options: LambdaOptions, ambient: Ambient) -> Result<Self, LambdaError> {
        Self::open_in(folder, options, ambient).map_err(LambdaError)
    }

    fn open_in(
        folder: &Path,
        options: LambdaOptions,
        ambient: Ambient,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // A function's process has another folder to be in.
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let store = Arc::new(Store::open(&folder.join("lambda.sqlite"))?);
        mapping::pollers::forget_deleted(&store)?;
        let packages = Packages::open(folder.join("packages"), ambient.clone())?;
        let used = used_packages(&store)?;
        packages.sweep(|sha256| used.contains(sha256))?;
        let fleet = Fleet {
            packages,
            spawner: Spawner::start(tokio::runtime::Handle::current())?,
            bootstrap: write_bootstrap(&folder)?,
            logs: folder.join("logs"),
            endpoint: options.endpoint,
            credentials: options.credentials,
            ambient: ambient.clone(),
            pools: Default::default(),
        };
        let (fleet, mappings, events) = (Arc::new(fleet), Arc::default(), Arc::default());
        let neighbours = options.neighbours;
        Ok(Self { service: Service { store, fleet, neighbours, mappings, events, ambient } })
    }

    /// The endpoint.
    pub fn service(&self) -> Arc<dyn RestService> {
        Arc::new(self.service.clone())
    }

    /// Hands on what waits, and ends processes that nobody needs, until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let idle = async {
            loop {
                tokio::time::sleep(IDLE_INTERVAL).await;
                self.service.fleet.end_idle(|_| true);
            }
        };
        let work = async {
            tokio::join!(events::run(&self.service, &shutdown), mapping::pollers::run(&self.service, &shutdown));
        };
        tokio::select! {
            () = work => {}
            () = idle => {}
        }
        self.service.fleet.end();
    }
}

fn used_packages(store: &Store) -> store::Result<HashSet<String>> {
    let functions = store.list_everywhere::<Function>()?;
    Ok(functions
        .into_iter()
        .filter_map(|(_, function)| match function.code {
            Code::Zip { sha256, .. } => Some(sha256),
            Code::Folder { .. } => None,
        })
        .collect())
}

fn write_bootstrap(folder: &Path) -> std::io::Result<PathBuf> {
    let path = folder.join("bootstrap.py");
    std::fs::write(&path, BOOTSTRAP)?;
    Ok(path)
}
