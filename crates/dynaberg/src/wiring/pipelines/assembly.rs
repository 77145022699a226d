//! From a pipeline file to a pipeline that can run: once at the start, and again after every failure.

mod source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use iceberg::table::Table;
use pipeline::{
    Accounts, Commit, Desk, Error, ErrorKind, KeyAttribute, LambdaTransform, Mode, Order, Pipeline, ReplaySource,
    Result, Sink, Source, SqlTransform, TableOptions, TableShape, TableSink, Tap,
};

use self::source::Opened;
use super::parts::{by_exit, dead_letters, function_of, lake_error, target_of};
use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, SourceStream};

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

    /// Looks at the source's records beside whoever runs the pipeline. The table has to be there: its columns count.
    pub async fn open_tap(&self) -> Result<Tap> {
        let Opened { table: name, keys, source } = self.open_source().await?;
        let catalog = self.lake().await?;
        let table = catalog.load_table(&target_of(&self.file).table).await.map_err(lake_error)?;
        let schema = lake::arrow_schema(&table).map_err(lake_error)?;
        let mode = self.file.mode;
        let Some(transform) = &self.file.transform else {
            let keys = keys.into_iter().map(|key| key.name).collect();
            let shape = TableShape::from_table(schema, keys, mode, self.file.evolve && mode == Mode::Mirror);
            return Tap::open(source, None, &[], &shape).await;
        };
        let items = pipeline::sample_items(&self.aws.config, &name, SAMPLE_ITEMS).await?;
        let sql = transform.compile(&transform.attributes(&keys, &items, Some(&table))?, mode, Some(&table))?;
        let shape = TableShape::of_transformed(schema, sql.key_columns().to_vec(), mode);
        Tap::open(source, Some(&sql), &transform.sensitive, &shape).await
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
            retries: self.file.retries,
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
