//! What a pipeline file meets when it runs: its source, its target, the place of its letters.

use std::path::Path;

use futures::StreamExt;
use iceberg::table::Table;
use object_store::ObjectStoreScheme;
use pipeline::{KeyAttribute, LetterQueue, ObjectStoreDeadLetters};
use url::Url;

use super::finding::{Finding, Layer};
use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, SourceStream};
use crate::wiring::{SAMPLE_ITEMS, target_of};

/// The source cannot be read.
const SOURCE: &str = "DYN301";
/// The lake cannot be reached.
const LAKE: &str = "DYN302";
/// Letters would lie among the files of the table.
const LETTERS_IN_TABLE: &str = "DYN303";
/// Letters cannot be kept.
const LETTERS: &str = "DYN304";
/// There is no place for letters.
const NO_LETTERS: &str = "DYN305";

/// The function of the transform cannot be asked.
const FUNCTION: &str = "DYN306";

/// What was found out; empty where it could not be.
#[derive(Default)]
pub struct Surroundings {
    pub keys: Vec<KeyAttribute>,
    pub items: Vec<serde_json::Value>,
    pub table: Option<Table>,
    pub findings: Vec<Finding>,
}

impl Surroundings {
    /// Looks around without changing anything.
    pub async fn look(path: &Path, file: &PipelineFile, catalog: Option<&Catalog>, aws: &Aws) -> Self {
        let mut found = Self::default();
        found.look_at_source(path, file, aws).await;
        found.look_at_function(path, file, aws).await;
        let catalog = file.catalog.as_ref().or(catalog);
        match aws.lake(catalog).await {
            Ok(lake) => {
                found.look_at_target(path, file, &lake).await;
                found.look_at_letters(path, file, &lake).await;
                found.look_at_queue(path, file, aws).await;
            }
            Err(failure) => {
                let message = failure.message();
                let (message, advice) = message.split_once(". Try: ").unwrap_or((&message, "dynaberg explain DYN302"));
                found.findings.push(Finding::new(Layer::Environment, LAKE, path, message.to_owned(), advice));
            }
        }
        found
    }

    async fn look_at_source(&mut self, path: &Path, file: &PipelineFile, aws: &Aws) {
        let looked = async {
            let (table, keys) = match &file.stream {
                SourceStream::DynamoDb => {
                    let source = pipeline::find_table(&aws.config, &file.source_table).await?;
                    (source.name, source.keys)
                }
                SourceStream::Kinesis { named, .. } => {
                    let (table, keys) = pipeline::find_keys(&aws.config, &file.source_table).await?;
                    pipeline::find_kinesis_stream(&aws.config, &table, named.as_deref()).await?;
                    (table, keys)
                }
            };
            self.keys = keys;
            self.items = pipeline::sample_items(&aws.config, &table, SAMPLE_ITEMS).await?;
            Ok::<_, pipeline::Error>(())
        };
        if let Err(error) = looked.await {
            self.findings.push(Finding::of_error(Layer::Environment, SOURCE, path, &error));
        }
    }

    async fn look_at_function(&mut self, path: &Path, file: &PipelineFile, aws: &Aws) {
        let Some(name) = &file.lambda else { return };
        let looked = match aws.function(name) {
            Ok(function) => function.look().await,
            Err(failure) => Err(pipeline::Error::new(pipeline::ErrorKind::Misconfigured, failure.message())),
        };
        if let Err(error) = looked {
            self.findings.push(Finding::of_error(Layer::Environment, FUNCTION, path, &error));
        }
    }

    async fn look_at_target(&mut self, path: &Path, file: &PipelineFile, lake: &lake::Catalog) {
        match lake.load_table(&target_of(file).table).await {
            Ok(table) => self.table = Some(table),
            Err(error) if error.kind() == lake::ErrorKind::NotFound => {}
            Err(error) => {
                let message = crate::failure::with_causes(&error);
                self.findings.push(Finding::new(Layer::Environment, LAKE, path, message, "dynaberg tables"));
            }
        }
    }

    async fn look_at_letters(&mut self, path: &Path, file: &PipelineFile, lake: &lake::Catalog) {
        let Some(prefix) = &file.dead_letters else {
            let message = "a record that cannot become a row stops the pipeline".to_owned();
            let advice = "[dead_letters] errors = \"s3://BUCKET/errors/\"";
            self.findings.push(Finding::new(Layer::Environment, NO_LETTERS, path, message, advice).warning());
            return;
        };
        if let Some(table) = &self.table
            && ObjectStoreDeadLetters::is_within(&prefix.0, table.metadata().location())
        {
            let message = format!(
                "dead letters at {} would lie among the files of table {}, where a sweep deletes what no snapshot names",
                prefix.0, file.target
            );
            let advice = "errors = \"s3://ANOTHER-BUCKET/errors/\"";
            self.findings.push(Finding::new(Layer::Environment, LETTERS_IN_TABLE, path, message, advice));
            return;
        }
        if let Err(error) = list(&prefix.0, lake).await {
            let message = format!("look at the dead letters at {}: {error}", prefix.0);
            let advice = "create the bucket, and let the pipeline list and write in it";
            self.findings.push(Finding::new(Layer::Environment, LETTERS, path, message, advice));
        }
    }
}

impl Surroundings {
    async fn look_at_queue(&mut self, path: &Path, file: &PipelineFile, aws: &Aws) {
        let Some(queue) = &file.dead_letter_queue else { return };
        let found = match aws.sqs(queue) {
            Ok(client) => LetterQueue::open(client, queue, "").await.map(drop),
            Err(failure) => Err(pipeline::Error::new(pipeline::ErrorKind::Misconfigured, failure.message())),
        };
        if let Err(error) = found {
            self.findings.push(Finding::of_error(Layer::Environment, LETTERS, path, &error));
        }
    }
}

async fn list(prefix: &str, lake: &lake::Catalog) -> Result<(), String> {
    let url = Url::parse(prefix).map_err(|error| error.to_string())?;
    let (_, path) = ObjectStoreScheme::parse(&url).map_err(|error| error.to_string())?;
    let store = lake.store_for(prefix).map_err(|error| crate::failure::with_causes(&error))?;
    match store.list(Some(&path)).next().await {
        Some(Err(error)) => Err(crate::failure::with_causes(&error)),
        Some(Ok(_)) | None => Ok(()),
    }
}
