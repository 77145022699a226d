//! From a pipeline file to a pipeline that can run: once at the start, and again after every failure.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::SdkConfig;
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent};
use object_store::ObjectStoreScheme;
use pipeline::{
    Accounts, AwsStreamApi, Commit, DeadLetterQueue, Desk, DynamoDbStreamsSource, Error, ErrorKind, KeyAttribute,
    KinesisSource, KinesisStreamApi, LambdaTransform, LetterQueue, Mode, NoDeadLetters, ObjectStoreDeadLetters, Order,
    OrderOptions, Pipeline, ReplaySource, Result, Sink, Source, SqlTransform, StreamAt, TableOptions, TableSink,
    Target,
};
use url::Url;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, SourceStream};
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
    desk: Arc<Desk>,
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
        desk: Arc<Desk>,
    ) -> Self {
        let catalog = file.catalog.clone().or(catalog);
        Self { file, catalog, aws: aws.clone(), index_dir, accounts, desk }
    }

    /// Reads the source table's stream. `Misconfigured` where the source is not there, or where a target is to be made
    /// from a sample of items and there is none.
    pub async fn open(&self) -> Result<Pipeline> {
        let Opened { table, keys, source } = self.open_source().await?;
        let lake = self.lake().await?;
        let sample = pipeline::sample_items(&self.aws.config, &table, SAMPLE_ITEMS);
        let lambda = function_of(&self.file, &self.aws, source.incarnation())?;
        let sample = async { Self::seen_by(lambda.as_ref(), &keys, sample.await?).await };
        let sql = self.prepare_target(&lake, &keys, sample).await?;
        let order = self.order(table);
        self.pipeline(lake, source, Some(order), &keys, Transforms { sql, lambda }).await
    }

    async fn open_source(&self) -> Result<Opened> {
        let (config, ambient) = (&self.aws.config, self.aws.ambient());
        match &self.file.stream {
            SourceStream::DynamoDb => {
                let table = pipeline::find_table(config, &self.file.source_table).await?;
                let api = Arc::new(AwsStreamApi::new(config));
                let source = DynamoDbStreamsSource::new(api, &table.stream, self.file.start, ambient);
                Ok(Opened { table: table.name, keys: table.keys, source: Box::new(source) })
            }
            SourceStream::Kinesis { named } => {
                let (table, keys) = pipeline::find_keys(config, &self.file.source_table).await?;
                let stream = pipeline::find_kinesis_stream(config, &table, named.as_deref()).await?;
                let api = Arc::new(KinesisStreamApi::new(config));
                let source = KinesisSource::new(api, &stream, self.file.start, ambient);
                Ok(Opened { table, keys, source: Box::new(source) })
            }
        }
    }

    fn order(&self, table: String) -> Order {
        let config = self.aws.config.clone();
        Order::new(OrderOptions {
            table: Some(table),
            mode: self.file.mode,
            source_is_ordered: self.file.stream == SourceStream::DynamoDb,
            streams: Arc::new(move |incarnation| stream_at(&config, incarnation)),
            ambient: self.aws.ambient(),
        })
    }

    /// Reads files of stream records instead.
    pub async fn open_replay(&self, files: Vec<PathBuf>) -> Result<Pipeline> {
        let sample = pipeline::sample_records(&files, SAMPLE_ITEMS).await?;
        let lake = self.lake().await?;
        let lambda = function_of(&self.file, &self.aws, &self.file.source_table)?;
        let items = Self::seen_by(lambda.as_ref(), &sample.keys, sample.items);
        let sql = self.prepare_target(&lake, &sample.keys, items).await?;
        let files = ReplaySource::open(files)?.for_batches_of(self.file.delivery.records_max);
        self.pipeline(lake, Box::new(files), None, &sample.keys, Transforms { sql, lambda }).await
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

    /// The checkpoint in the table goes back to `to_ms`; whoever runs the pipeline now is stopped by it.
    pub async fn rewind(&self, to_ms: i64) -> Result<()> {
        let misconfigured = |message: String| Err(Error::new(ErrorKind::Misconfigured, message));
        if self.file.mode == Mode::Changelog {
            return misconfigured(format!(
                "table {} is a changelog: it would have the changes since then twice. Try: a new target table with \
                 `[source] stream = \"kinesis\"`, which begins with all that the stream still holds",
                self.file.target
            ));
        }
        let Opened { keys, source, .. } = self.open_source().await?;
        let lake = self.lake().await?;
        let sql = match self.file.transform {
            Some(_) => self.prepare_target(&lake, &keys, async { Ok(Vec::new()) }).await?,
            None => None,
        };
        let mut sink = TableSink::open(lake, target_of(&self.file).table, self.table_options(&keys, sql)).await?;
        let checkpoint = sink.take_over().await?;
        if !matches!(self.file.stream, SourceStream::Kinesis { .. }) || checkpoint.incarnation != source.incarnation() {
            return misconfigured(format!(
                "table {} is filled from {}, which cannot be read from a moment on. Try: `[source] stream = \
                 \"kinesis\"`, and run the pipeline once",
                self.file.target,
                if checkpoint.incarnation.is_empty() { "no stream yet" } else { &checkpoint.incarnation }
            ));
        }
        // What came since then is no longer promised to be in the table: it steps back while it is read again.
        let complete_up_to = UNIX_EPOCH + Duration::from_millis(to_ms.max(0).unsigned_abs());
        let rewound = checkpoint.rewind(to_ms);
        let id = self.aws.ambient().uuid();
        let commit = Commit { id, from: &checkpoint, to: &rewound, complete_up_to: Some(complete_up_to) };
        sink.commit(lake::RowChanges::default(), commit).await
    }

    /// Makes the target where it is not there yet, and the transform for it. `sample` is waited for only where its
    /// items decide something.
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
        order: Option<Order>,
        keys: &[KeyAttribute],
        transforms: Transforms,
    ) -> Result<Pipeline> {
        let Transforms { sql, lambda } = transforms;
        let options = self.table_options(keys, sql.clone());
        let target = lake.load_table(&target_of(&self.file).table).await.map_err(lake_error)?;
        let dead_letters = dead_letters(&self.file, &lake, target.metadata().location(), &self.aws).await?;
        Ok(Pipeline {
            source,
            order,
            sql,
            lambda,
            sink: Box::new(TableSink::open(lake, target_of(&self.file).table, options).await?),
            dead_letters,
            desk: self.desk.clone(),
            delivery: self.file.delivery.clone(),
            accounts: self.accounts.clone(),
            ambient: self.aws.ambient(),
        })
    }

    fn table_options(&self, keys: &[KeyAttribute], sql: Option<Arc<SqlTransform>>) -> TableOptions {
        TableOptions {
            pipeline: self.file.name.clone(),
            key_attributes: keys.iter().map(|key| key.name.clone()).collect(),
            mode: self.file.mode,
            evolve: self.file.evolve,
            sql,
            index_dir: self.index_dir.clone(),
        }
    }

    /// The supervisor reacts to what went wrong by its kind; a lake that is not there yet may come.
    async fn lake(&self) -> Result<lake::Catalog> {
        self.aws.lake(self.catalog.as_ref()).await.map_err(by_exit)
    }
}

fn by_exit(failure: Failure) -> Error {
    let kind = match failure.exit {
        Exit::Service => ErrorKind::Transient,
        Exit::Other => ErrorKind::Unexpected,
        _ => ErrorKind::Misconfigured,
    };
    Error::new(kind, failure.message())
}

/// Where the letters of a pipeline are kept, and the queue that is told of them. `Misconfigured` where one is not
/// there.
pub async fn dead_letters(
    file: &PipelineFile,
    lake: &lake::Catalog,
    table_location: &str,
    aws: &Aws,
) -> Result<Box<dyn DeadLetterQueue>> {
    let Some(prefix) = &file.dead_letters else { return Ok(Box::new(NoDeadLetters)) };
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
    let letters = ObjectStoreDeadLetters::new(store, path, &file.name, aws.ambient());
    let Some(queue) = &file.dead_letter_queue else { return Ok(Box::new(letters)) };
    let client = aws.sqs(queue).map_err(by_exit)?;
    let queue = LetterQueue::open(client, queue, url.host_str().unwrap_or_default()).await?;
    Ok(Box::new(letters.announcing_to(queue)))
}

/// The source table, and the stream with its changes.
struct Opened {
    table: String,
    keys: Vec<KeyAttribute>,
    source: Box<dyn Source>,
}

/// How to read a stream by the name that a checkpoint has for it.
fn stream_at(config: &SdkConfig, incarnation: &str) -> Option<StreamAt> {
    if incarnation.contains(":kinesis:") {
        let arn = incarnation.split_once('@').map_or(incarnation, |(arn, _)| arn);
        return Some(StreamAt { api: Arc::new(KinesisStreamApi::new(config)), name: arn.to_owned() });
    }
    let is_dynamodb = incarnation.contains(":dynamodb:");
    is_dynamodb.then(|| StreamAt { api: Arc::new(AwsStreamApi::new(config)), name: incarnation.to_owned() })
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

/// The function that records pass through, where the file names one. `source` is what it is told of their origin.
pub fn function_of(file: &PipelineFile, aws: &Aws, source: &str) -> Result<Option<LambdaTransform>> {
    let Some(name) = &file.lambda else { return Ok(None) };
    let misconfigured = |failure: Failure| Error::new(ErrorKind::Misconfigured, failure.message());
    let function = aws.function(name).map_err(misconfigured)?;
    Ok(Some(LambdaTransform {
        function: Arc::new(function),
        name: name.as_str().to_owned(),
        source_arn: source.split('@').next().unwrap_or_default().to_owned(),
        region: aws.region(),
        ambient: aws.ambient(),
    }))
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
