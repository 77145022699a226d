//! Pipelines that were deployed onto a running `dev`: kept as files in its data folder, started again with it.

mod resource;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pipeline::Patience;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use resource::ConsolePipeline;

use super::stack::create_private_dir;
use super::{Running, launch, refuse_leaks};
use crate::aws::Aws;
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure, Outcome};

/// The pipelines that run now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Roster(Arc<RwLock<Vec<Running>>>);

impl Roster {
    pub fn of(running: Vec<Running>) -> Self {
        Self(Arc::new(RwLock::new(running)))
    }

    pub fn list(&self) -> Vec<Running> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, running: Running) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(running);
    }

    fn remove(&self, name: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|running| running.name != name);
    }
}

/// A deployed pipeline as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployedPipeline {
    /// The pipeline file.
    pub text: String,
    /// Who deployed it, as marks say it.
    pub made_by: String,
}

/// What became of a wish to deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployment {
    Done,
    /// There is one of this name already.
    Taken,
}

/// The folder of deployed pipelines, and those of them that run. Cheap to clone.
#[derive(Clone)]
pub struct Deployed(Arc<Inner>);

struct Inner {
    data_dir: PathBuf,
    aws: Aws,
    roster: Roster,
    shutdown: CancellationToken,
    stops: Mutex<HashMap<String, CancellationToken>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Deployed {
    /// Starts what was deployed before. A file that cannot be read stops nothing else: the log says what is wrong.
    pub fn start(data_dir: &Path, aws: Aws, roster: Roster, shutdown: CancellationToken) -> Outcome<Self> {
        let data_dir = data_dir.to_owned();
        let folder = data_dir.join(FOLDER);
        create_private_dir(&folder).map_err(|error| unusable(&folder, &error))?;
        let (stops, changing) = (Mutex::default(), tokio::sync::Mutex::default());
        let deployed = Self(Arc::new(Inner { data_dir, aws, roster, shutdown, stops, changing }));
        for entry in std::fs::read_dir(&folder).map_err(|error| unusable(&folder, &error))?.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let Some(name) = file.strip_suffix(".json") else { continue };
            match deployed.get(name).and_then(|found| found.map(|found| deployed.parse(name, &found.text)).transpose())
            {
                Ok(Some(file)) => deployed.launch(file),
                Ok(None) => {}
                Err(failure) => tracing::error!(pipeline = name, error = %failure, "a deployed pipeline cannot run"),
            }
        }
        Ok(deployed)
    }

    pub fn get(&self, name: &str) -> Outcome<Option<DeployedPipeline>> {
        let path = self.path(name)?;
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| unusable(&path, &error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// Runs a pipeline, in place of the one of this name where `replaces` says so.
    pub async fn put(&self, name: &str, pipeline: &DeployedPipeline, replaces: bool) -> Outcome<Deployment> {
        let _alone = self.0.changing.lock().await;
        let file = self.parse(name, &pipeline.text)?;
        let is_there = self.get(name)?.is_some();
        if is_there && !replaces {
            return Ok(Deployment::Taken);
        }
        let other = self.0.roster.list().into_iter().find(|other| {
            (other.name == name && !is_there) || (other.name != name && other.table == file.target.to_string())
        });
        if let Some(other) = other {
            let message = format!("the pipeline {} runs here already, into {}", other.name, other.table);
            return Err(Failure::new(Exit::Configuration, message).advise("start `dynaberg dev` without its file"));
        }
        self.stop(name).await;
        self.write(name, pipeline)?;
        self.launch(file);
        Ok(Deployment::Done)
    }

    /// Stops a pipeline and forgets it, its key index included.
    pub async fn remove(&self, name: &str) -> Outcome {
        let _alone = self.0.changing.lock().await;
        let path = self.path(name)?;
        if self.get(name)?.is_none() {
            return Ok(());
        }
        self.stop(name).await;
        // The file goes last: a removal that was cut short can be asked for again.
        let index = self.index_dir(name);
        for removed in [std::fs::remove_dir_all(&index), std::fs::remove_file(&path)] {
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&path, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn parse(&self, name: &str, text: &str) -> Outcome<PipelineFile> {
        let file = PipelineFile::parse(text, &self.path(name)?, name.to_owned())?;
        refuse_leaks(std::slice::from_ref(&file))?;
        Ok(file)
    }

    fn launch(&self, file: PipelineFile) {
        let stop = self.0.shutdown.child_token();
        let (name, index_dir) = (file.name.clone(), self.index_dir(&file.name));
        self.0.roster.add(launch(file, None, &self.0.aws, index_dir, Patience::Wait, stop.clone()));
        self.0.stops.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stop);
    }

    async fn stop(&self, name: &str) {
        let stop = self.0.stops.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        let Some(stop) = stop else { return };
        stop.cancel();
        if let Some(running) = self.0.roster.list().into_iter().find(|running| running.name == name) {
            running.ended().await;
        }
        self.0.roster.remove(name);
    }

    fn write(&self, name: &str, pipeline: &DeployedPipeline) -> Outcome {
        let path = self.path(name)?;
        let staged = path.with_extension("staged");
        let json = serde_json::to_vec_pretty(pipeline).map_err(|error| unusable(&path, &error))?;
        let written = std::fs::write(&staged, json).and_then(|()| std::fs::File::open(&staged)?.sync_all());
        written.and_then(|()| std::fs::rename(&staged, &path)).map_err(|error| unusable(&path, &error))
    }

    fn index_dir(&self, name: &str) -> PathBuf {
        self.0.data_dir.join("index").join(name)
    }

    /// The name becomes a file's name.
    fn path(&self, name: &str) -> Outcome<PathBuf> {
        let is_legal = (1..=255).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        match is_legal {
            true => Ok(self.0.data_dir.join(FOLDER).join(format!("{name}.json"))),
            false => Err(Failure::new(Exit::Usage, format!("`{name}` cannot be a pipeline's name"))
                .advise("letters, digits, `_` and `-`")),
        }
    }
}

const FOLDER: &str = "pipelines";

fn unusable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Exit::Other, format!("keep deployed pipelines at {}: {error}", path.display()))
}
