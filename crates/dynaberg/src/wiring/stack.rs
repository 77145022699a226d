//! The embedded services: every AWS endpoint of the journey, on one port.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use aws_credential_types::Credentials;
use aws_wire::Gateway;
use local_analytics::Analytics;
use local_capture::{Capture, CaptureOptions};
use local_delivery::{Firehose, FirehoseNeighbours, Lambda, LambdaOptions, Neighbours, Sqs};
use local_monitoring::{Measured, Monitoring};
use local_warehouse::{Maintenance, VendedCredentials, Warehouse};
use query::Memory;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, open_buckets};
use crate::cli::{Auth, KinesisArgs};
use crate::failure::{Exit, Failure, Outcome};
use crate::heap::trim_beside;
use crate::watch::{NAMESPACE, Receiver, Sample};

use super::firehose::{GlueFormats, LambdaFunctions};
use keys::{Keys, keys};

pub struct StackOptions {
    pub data_dir: PathBuf,
    /// 0 takes a free one.
    pub port: u16,
    pub auth: Auth,
    /// `NAME=FILE`: users who are held to policies.
    pub policies: Vec<String>,
    pub shard_rotation: Duration,
    pub kinesis: KinesisArgs,
    /// Where PostgreSQL's clients are answered, 0 for a free one; nowhere if `None`.
    pub postgres_port: Option<u16>,
    /// What queries may hold together.
    pub query_memory_bytes_max: usize,
}

/// The services, up and answering.
pub struct Stack {
    /// `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// `127.0.0.1:4568`, where PostgreSQL's clients are answered.
    pub postgres: Option<SocketAddr>,
    firehose: Firehose,
    warehouse: Warehouse,
    monitoring: Monitoring,
    /// With which our own pipelines call.
    credentials: Credentials,
    tasks: JoinSet<()>,
    /// Held as long as the services are up: one process a data folder.
    _lock: File,
}

impl Stack {
    /// Opens the data folder and starts to answer. The services end with `shutdown`.
    pub async fn start(options: StackOptions, ambient: Ambient, shutdown: CancellationToken) -> Outcome<Self> {
        let lock = lock_data_dir(&options.data_dir)?;
        let listener = bind(options.port, "--port").await?;
        let address = listener.local_addr().map_err(|error| Failure::caused_by(Exit::Other, &error))?;
        let endpoint = format!("http://{address}");
        let postgres_listener = match options.postgres_port {
            Some(port) => Some(bind(port, "--postgres-port").await?),
            None => None,
        };
        let postgres = postgres_listener.as_ref().and_then(|listener| listener.local_addr().ok());

        let capture_options = CaptureOptions {
            shard_rotation: options.shard_rotation,
            kinesis_faults: options.kinesis.kinesis_faults,
            kinesis_throttling: !options.kinesis.kinesis_unthrottled,
            ..CaptureOptions::default()
        };
        let capture = Capture::open(&options.data_dir.join("capture"), capture_options, ambient.clone())
            .await
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let warehouse = Warehouse::open(&options.data_dir.join("warehouse"), ambient.clone())
            .await
            .map_err(|error| unopened(&options.data_dir, &error))?;

        let Keys { authentication, pipelines: credentials, functions } = keys(options.auth, &ambient)?;
        let vended = VendedCredentials {
            access_key_id: credentials.access_key_id().to_owned(),
            secret_access_key: credentials.secret_access_key().to_owned(),
        };
        let local = warehouse.clone();
        let local = open_buckets(move |bucket| local.object_store(bucket));
        let own = Aws::embedded(&endpoint, credentials.clone(), local, ambient.clone()).await;
        let client_of_firehose = own.clone();
        let lakehouse = lakehouse::WarehouseLakehouse::new(warehouse.clone(), own);
        let memory = query_memory(&options)?;
        let folder = options.data_dir.join("analytics");
        let analytics = Analytics::open(&folder, Arc::new(lakehouse), memory.clone(), ambient.clone())
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let sqs = Sqs::open(&options.data_dir.join("sqs"), ambient.clone(), shutdown.clone())
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let warehouse = warehouse.governed_by(analytics.authorizer());
        let objects = Arc::new(objects::WarehouseObjects(warehouse.clone()));
        let monitoring = Monitoring::open(&options.data_dir.join("monitoring"), ambient.clone())
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let of_firehose = FirehoseNeighbours {
            formats: Arc::new(GlueFormats(client_of_firehose.clone())),
            objects: objects.clone(),
            functions: Arc::new(LambdaFunctions(client_of_firehose)),
            logs: monitoring.logs(),
        };
        let firehose = Firehose::open(&options.data_dir.join("firehose"), of_firehose, ambient.clone())
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let neighbours =
            Neighbours { objects, streams: capture.streams(), kinesis: capture.kinesis(), queues: sqs.json() };
        let lambda_options = LambdaOptions { endpoint: endpoint.clone(), credentials: functions, neighbours };
        let lambda = Lambda::open(&options.data_dir.join("lambda"), lambda_options, ambient.clone())
            .map_err(|error| unopened(&options.data_dir, &error))?;
        let clients = analytics.postgres(authentication.clone());
        let guard = guard::guard(&options.policies, &authentication, &options.data_dir, &warehouse)?;
        let gateway = Gateway::new(ambient, authentication.clone())
            .json_service("dynamodb", capture.dynamodb())
            .json_service("dynamodb", capture.streams())
            .json_service("kinesis", capture.kinesis())
            .json_service("firehose", firehose.json())
            .json_service("athena", analytics.athena())
            .json_service("glue", analytics.glue())
            .json_service("logs", monitoring.logs())
            .json_service("monitoring", monitoring.cloudwatch())
            .json_service("sqs", sqs.json())
            .query_service("sqs", sqs.query())
            .rest_service("lakeformation", analytics.lake_formation())
            .rest_service("lambda", lambda.service())
            .rest_service("s3tables", warehouse.s3_tables())
            .iceberg(warehouse.iceberg_rest(&endpoint, Some(vended)))
            .streaming_service("s3", warehouse.s3(authentication));
        let gateway = match guard {
            Some(guard) => gateway.guarded_by(guard),
            None => gateway,
        };

        let mut tasks = JoinSet::new();
        let (ended, lambda_ended, firehose_ended) = (shutdown.clone(), shutdown.clone(), shutdown.clone());
        tasks.spawn(monitoring.clone().run(shutdown.clone()));
        tasks.spawn(trim_beside(memory, shutdown.clone()));
        if let Some(listener) = postgres_listener {
            tasks.spawn(clients.serve(listener, shutdown.clone()));
        }
        tasks.spawn(async move { gateway.serve(listener, ended).await });
        tasks.spawn(async move { capture.run(shutdown).await });
        tasks.spawn(async move { lambda.run(lambda_ended).await });
        let running = firehose.clone();
        tasks.spawn(async move { running.run(firehose_ended).await });
        Ok(Self { endpoint, postgres, firehose, warehouse, monitoring, credentials, tasks, _lock: lock })
    }

    /// Client settings for this stack; objects are opened without a socket.
    pub async fn client(&self, ambient: Ambient) -> Aws {
        let warehouse = self.warehouse.clone();
        let local = open_buckets(move |bucket| warehouse.object_store(bucket));
        Aws::embedded(&self.endpoint, self.credentials.clone(), local, ambient).await
    }

    /// The delivery streams.
    pub fn firehose(&self) -> Firehose {
        self.firehose.clone()
    }

    /// What S3 Tables was asked to look after.
    pub fn maintenance(&self) -> Maintenance {
        self.warehouse.maintenance()
    }

    /// Lets CloudWatch know what this process measures of its own pipelines.
    pub fn cloudwatch_receiver(&self) -> Receiver {
        let monitoring = self.monitoring.clone();
        Box::new(move |samples, now_ms| {
            let measured = |sample: &Sample| Measured {
                name: sample.name.clone(),
                dimensions: sample.labels.clone(),
                value: sample.value,
                unit: sample.unit().to_owned(),
            };
            let measured: Vec<Measured> = samples.iter().map(measured).collect();
            tokio::task::block_in_place(|| monitoring.take(NAMESPACE, &measured, now_ms));
        })
    }

    /// Waits until the services have ended.
    pub async fn ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What queries hold, and the folder into which they spill. What a process that was killed has left there goes.
fn query_memory(options: &StackOptions) -> Outcome<Memory> {
    let folder = options.data_dir.join("spill");
    let unusable = |error: &(dyn std::error::Error + 'static)| unopened(&options.data_dir, error);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&error)),
        _ => {}
    }
    create_private_dir(&folder).map_err(|error| unusable(&error))?;
    Memory::limited(options.query_memory_bytes_max, folder).map_err(|error| unusable(&error))
}

/// Binds a loopback port.
pub async fn bind(port: u16, flag: &str) -> Outcome<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        Failure::new(Exit::Configuration, format!("listen on 127.0.0.1:{port}: {error}"))
            .advise(format!("{flag} 0 takes a free port; or stop what uses port {port}"))
    })
}

fn lock_data_dir(data_dir: &Path) -> Outcome<File> {
    let shown = data_dir.display();
    let unusable = |error: std::io::Error| {
        Failure::new(Exit::Configuration, format!("open data folder {shown}: {error}")).advise("--data-dir DIR")
    };
    create_private_dir(data_dir).map_err(unusable)?;
    let lock = File::create(data_dir.join("lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(Exit::Configuration, format!("data folder {shown} is in use by another dynaberg"))
                .advise("stop it, or choose another folder with --data-dir DIR"))
        }
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Tables and streams are private data: nobody else on the machine may read them.
pub fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn unopened(data_dir: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let message = format!("open data folder {}: {}", data_dir.display(), crate::failure::with_causes(error));
    Failure::new(Exit::Configuration, message).advise("--data-dir DIR chooses another folder")
}

mod guard;
mod keys;
mod lakehouse;
mod objects;
