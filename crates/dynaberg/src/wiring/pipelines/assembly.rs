//! From a pipeline file to a pipeline that can run: once at the start, and again after every failure.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent};
use object_store::ObjectStoreScheme;
use pipeline::{
    Accounts, AwsStreamApi, DeadLetterQueue, DynamoDbStreamsSource, Error, ErrorKind, KeyAttribute, LambdaTransform,
    Mode, NoDeadLetters, ObjectStoreDeadLetters, Pipeline, ReplaySource, Result, Source, SqlTransform, TableOptions,
    TableSink, Target,
};
use url::Url;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile};
use crate::failure::{Exit, Failure};

/// How many items decide the columns of a table that does not exist yet.
pub const SAMPLE_ITEMS: usize = 1_000;

/// A pipeline file and all it needs to become a pipeline.
pub struct Assembly {
    file: PipelineFile,
    catalog: Option<Catalog>,
    aws: Aws,
    index_dir: PathBuf,
    accounts: Arc<Accounts>,
}

/// What becomes of records before they are rows.
struct Transforms {
    sql: Option<Arc<SqlTransform>>,
    lambda: Option<LambdaTransform>,
}

impl Assembly {
    /// `catalog` counts where the file names none.
    pub fn new(
        file: PipelineFile,
        catalog: Option<Catalog>,
        aws: &Aws,
        index_dir: PathBuf,
        accounts: Arc<Accounts>,
    ) -> Self {
        let catalog = file.catalog.clone().or(catalog);
        Self { file, catalog, aws: aws.clone(), index_dir, accounts }
    }

    /// Reads the source table's stream. `Misconfigured` where the source is not there, or where a target is to be made
    /// from a sample of items and there is none.
    pub async fn open(&self) -> Result<Pipeline> {
        let source = pipeline::find_table(&self.aws.config, &self.file.source_table).await?;
        let lake = self.lake().await?;
        let sample = pipeline::sample_items(&self.aws.config, &source.name, SAMPLE_ITEMS);
        let lambda = self.lambda(&source.stream)?;
        let sample = async { Self::seen_by(lambda.as_ref(), &source.keys, sample.await?).await };
        let sql = self.prepare_target(&lake, &source.keys, sample).await?;
        let api = Arc::new(AwsStreamApi::new(&self.aws.config));
        let stream = DynamoDbStreamsSource::new(api, &source.stream, self.file.start, self.aws.ambient());
        self.pipeline(lake, Box::new(stream), &source.keys, Transforms { sql, lambda }).await
    }

    /// Reads files of stream records instead.
    pub async fn open_replay(&self, files: Vec<PathBuf>) -> Result<Pipeline> {
        let sample = pipeline::sample_records(&files, SAMPLE_ITEMS).await?;
        let lake = self.lake().await?;
        let lambda = self.lambda(&self.file.source_table)?;
        let items = Self::seen_by(lambda.as_ref(), &sample.keys, sample.items);
        let sql = self.prepare_target(&lake, &sample.keys, items).await?;
        let files = ReplaySource::open(files)?.for_batches_of(self.file.delivery.records_max);
        self.pipeline(lake, Box::new(files), &sample.keys, Transforms { sql, lambda }).await
    }

    /// The function that records pass through, where the file names one. `source` is what it is told of their origin.
    fn lambda(&self, source: &str) -> Result<Option<LambdaTransform>> {
        let Some(name) = &self.file.lambda else { return Ok(None) };
        let function = self
            .aws
            .function(name)
            .map_err(|failure: Failure| Error::new(ErrorKind::Misconfigured, failure.message()))?;
        Ok(Some(LambdaTransform {
            function: Arc::new(function),
            name: name.as_str().to_owned(),
            source_arn: source.to_owned(),
            region: self.aws.region(),
            ambient: self.aws.ambient(),
        }))
    }

    /// What becomes of sampled items: they decide the columns of a table that is to be made.
    async fn seen_by(
        lambda: Option<&LambdaTransform>,
        keys: &[KeyAttribute],
        items: Vec<serde_json::Value>,
    ) -> Result<Vec<serde_json::Value>> {
        match lambda {
            Some(lambda) => lambda.apply_to_items(keys, &items).await,
            None => Ok(items),
        }
    }

    /// Makes the target where it is not there yet, and the transform for it. `sample` is waited for only where its items
    /// decide something.
    async fn prepare_target(
        &self,
        lake: &lake::Catalog,
        keys: &[KeyAttribute],
        sample: impl Future<Output = Result<Vec<serde_json::Value>>>,
    ) -> Result<Option<Arc<SqlTransform>>> {
        let target = target_of(&self.file);
        let exists = target.exists(lake).await?;
        let table = match exists {
            true => Some(lake.load_table(&target.table).await.map_err(lake_error)?),
            false => None,
        };
        let Some(transform) = &self.file.transform else {
            match &table {
                Some(table) if self.file.mode == Mode::Mirror => {
                    let keys: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
                    pipeline::check_plain_key(table.metadata().properties(), &keys)?;
                }
                Some(_) => {}
                None => target.create(lake, keys, &sample.await?).await?,
            }
            return Ok(None);
        };
        let on_record = |table: &Table| table.metadata().properties().contains_key(&transform.record_name());
        let items = if table.as_ref().is_some_and(on_record) { Vec::new() } else { sample.await? };
        let attributes = transform.attributes(keys, &items, table.as_ref())?;
        let sql = transform.compile(&attributes, self.file.mode, table.as_ref())?;
        match table {
            None => target.create_for(lake, &sql).await?,
            Some(table) => {
                sql.check_key(table.metadata().properties())?;
                let record = HashMap::from([sql.record()?]);
                lake::set_properties(lake, &target.table, record).await.map_err(lake_error)?;
            }
        }
        Ok(Some(sql))
    }

    async fn pipeline(
        &self,
        lake: lake::Catalog,
        source: Box<dyn Source>,
        keys: &[KeyAttribute],
        transforms: Transforms,
    ) -> Result<Pipeline> {
        let Transforms { sql, lambda } = transforms;
        let options = TableOptions {
            pipeline: self.file.name.clone(),
            key_attributes: keys.iter().map(|key| key.name.clone()).collect(),
            mode: self.file.mode,
            evolve: self.file.evolve,
            sql: sql.clone(),
            index_dir: self.index_dir.clone(),
        };
        let target = lake.load_table(&target_of(&self.file).table).await.map_err(lake_error)?;
        let dead_letters = self.dead_letters(&lake, target.metadata().location())?;
        Ok(Pipeline {
            source,
            sql,
            lambda,
            sink: Box::new(TableSink::open(lake, target_of(&self.file).table, options).await?),
            dead_letters,
            delivery: self.file.delivery.clone(),
            accounts: self.accounts.clone(),
            ambient: self.aws.ambient(),
        })
    }

    fn dead_letters(&self, lake: &lake::Catalog, table_location: &str) -> Result<Box<dyn DeadLetterQueue>> {
        let Some(prefix) = &self.file.dead_letters else { return Ok(Box::new(NoDeadLetters)) };
        let misconfigured = || Error::new(ErrorKind::Misconfigured, format!("open dead letters at {}", prefix.0));
        if ObjectStoreDeadLetters::is_within(&prefix.0, table_location) {
            let message = format!(
                "keep dead letters at {}, among the files of the table, where a sweep deletes what no snapshot names. \
                 Try: a prefix in another bucket",
                prefix.0
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        let url = Url::parse(&prefix.0).map_err(|error| misconfigured().with_source(error))?;
        let (_, path) = ObjectStoreScheme::parse(&url).map_err(|error| misconfigured().with_source(error))?;
        let store = lake.store_for(&prefix.0).map_err(|error| misconfigured().with_source(error))?;
        Ok(Box::new(ObjectStoreDeadLetters::new(store, path, &self.file.name, self.aws.ambient())))
    }

    /// The supervisor reacts to what went wrong by its kind; a lake that is not there yet may come.
    async fn lake(&self) -> Result<lake::Catalog> {
        self.aws.lake(self.catalog.as_ref()).await.map_err(|failure: Failure| {
            let kind = match failure.exit {
                Exit::Service => ErrorKind::Transient,
                Exit::Other => ErrorKind::Unexpected,
                _ => ErrorKind::Misconfigured,
            };
            Error::new(kind, failure.message())
        })
    }
}

fn lake_error(error: lake::Error) -> Error {
    let kind = match error.kind() {
        lake::ErrorKind::Transient => ErrorKind::Transient,
        lake::ErrorKind::Fenced => ErrorKind::Fenced,
        lake::ErrorKind::NotFound | lake::ErrorKind::Refused => ErrorKind::Misconfigured,
        lake::ErrorKind::Unexpected => ErrorKind::Unexpected,
    };
    Error::new(kind, "prepare the target").with_source(error)
}

/// The table that a pipeline writes.
pub fn target_of(file: &PipelineFile) -> Target {
    let name = &file.target;
    Target {
        table: TableIdent::new(NamespaceIdent::new(name.namespace.clone()), name.table.clone()),
        mode: file.mode,
        partition: file.partition.clone(),
        evolve: file.evolve,
    }
}
