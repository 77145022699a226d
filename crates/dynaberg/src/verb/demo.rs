//! `dynaberg demo`: the whole journey once, on this machine, in a temporary folder.

mod sample;

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType,
    StreamSpecification, StreamViewType, WriteRequest,
};
use http::Method;
use pipeline::Patience;
use provision::Service;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, on};
use crate::cli::{Auth, DemoArgs, KinesisArgs, TableFormat};
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use crate::wiring::{Running, Stack, StackOptions, launch};

use super::interrupt::shutdown_on_signal;
use super::sql::{engine, footer, query_failure};
use sample::{Item, Sampler, key};

const PIPELINE: &str = include_str!("../../../../examples/transactions/transactions.toml");
const TABLE_DEFINITION: &str = include_str!("../../../../examples/transactions/tabledefinition.json");
const QUERIES: [(&str, &str); 2] = [
    ("Transactions by hour, category and payment method", include_str!("../../../../examples/transactions/hourly.sql")),
    ("Risk by region and category", include_str!("../../../../examples/transactions/risk.sql")),
];
const ITEMS: usize = 100;
const UPDATES: usize = 20;
const DELETES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(arguments: DemoArgs) -> Outcome {
    let ambient = system::ambient();
    let folder = tempfile::Builder::new().prefix("dynaberg-demo-").tempdir();
    let folder = folder.map_err(|error| Failure::new(Exit::Other, format!("make a temporary folder: {error}")))?;
    let shutdown = shutdown_on_signal();
    let services_end = CancellationToken::new();
    let options = StackOptions {
        data_dir: folder.path().to_owned(),
        port: 0,
        auth: Auth::Dev,
        policies: Vec::new(),
        shard_rotation: Duration::from_secs(4 * 3600),
        kinesis: KinesisArgs { kinesis_faults: 0.0, kinesis_unthrottled: false },
        postgres_port: None,
        query_memory_bytes_max: 256 << 20,
    };
    let stack = Stack::start(options, ambient.clone(), services_end.clone()).await?;
    let aws = stack.client(ambient.clone()).await;
    let dynamodb = Client::new(&aws.config);

    make_tables(&aws, &dynamodb).await?;
    output::line("✓ table financial-transactions, stream on   ✓ table bucket streamtablebucket")?;
    let file = PipelineFile::parse(PIPELINE, Path::new("transactions.toml"), "transactions".to_owned())?;
    let pipeline = launch(file, None, &aws, folder.path().join("index"), Patience::Wait, shutdown.clone());

    let started = system::stopwatch();
    write(&dynamodb, &mut Sampler::new(ambient.clone())).await?;
    output::line(format_args!("✓ {ITEMS} items written, {UPDATES} of them updated, {DELETES} deleted"))?;
    until_committed(&pipeline, ambient.now()).await?;
    let account = pipeline.account();
    output::line(format_args!(
        "✓ pipeline → analytics.transactions: {} changes, {} commits, complete {:.1} s after the first write",
        account.received,
        account.commits,
        started.elapsed().as_secs_f64()
    ))?;

    let engine = engine(aws.lake(None).await?, &ambient)?;
    for (title, sql) in QUERIES {
        output::line(format_args!("\n{title}"))?;
        let started = system::stopwatch();
        let answer = engine.query(sql).await.map_err(|error| query_failure(error, sql))?;
        output::write_batches(TableFormat::Table, answer.schema.clone(), &answer.batches)?;
        output::line(footer(&answer, started.elapsed(), &ambient))?;
    }

    if arguments.stay {
        output::line(format_args!(
            "\nStill up, until Ctrl-C:\n  export AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev \
             AWS_REGION=us-east-1\n  Next: dynaberg sql \"SELECT * FROM transactions LIMIT 100\"",
            stack.endpoint
        ))?;
        shutdown.cancelled().await;
    }
    shutdown.cancel();
    pipeline.ended().await;
    services_end.cancel();
    stack.ended().await;
    Ok(())
}

/// The blog's DynamoDB table with its stream, and its table bucket, namespace and Iceberg table.
async fn make_tables(aws: &Aws, dynamodb: &Client) -> Outcome {
    let attribute = |name: &str, kind: ScalarAttributeType| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("both are set")
    };
    let key_element = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("both are set")
    };
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let created = dynamodb
        .create_table()
        .table_name("financial-transactions")
        .attribute_definitions(attribute("transaction_id", ScalarAttributeType::S))
        .attribute_definitions(attribute("timestamp", ScalarAttributeType::N))
        .key_schema(key_element("transaction_id", KeyType::Hash))
        .key_schema(key_element("timestamp", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream.build().expect("enabled is set"))
        .send()
        .await;
    created.map_err(|error| service_failure(&error))?;

    let mut definition: Value = serde_json::from_str(TABLE_DEFINITION).expect("the example is JSON");
    let bucket = definition["tableBucketARN"].as_str().unwrap_or_default().replace(':', "%3A").replace('/', "%2F");
    definition.as_object_mut().expect("an object").retain(|name, _| name != "tableBucketARN" && name != "namespace");
    let calls = aws.calls()?;
    for (action, path, body) in [
        ("CreateTableBucket", "/buckets".to_owned(), json!({ "name": "streamtablebucket" })),
        ("CreateNamespace", format!("/namespaces/{bucket}"), json!({ "namespace": ["analytics"] })),
        ("CreateTable", format!("/tables/{bucket}/analytics"), definition),
    ] {
        calls.rest(on(Service::S3Tables, action), Method::PUT, &path, Some(body)).await?;
    }
    calls.s3(on(Service::S3, "CreateBucket"), Method::PUT, "/streambucket", String::new()).await?;
    Ok(())
}

async fn write(dynamodb: &Client, sampler: &mut Sampler) -> Outcome {
    let items: Vec<Item> = (0..ITEMS).map(|_| sampler.transaction()).collect();
    for chunk in items.chunks(25) {
        let requests = chunk.iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().expect("the item is set");
            WriteRequest::builder().put_request(put).build()
        });
        let batch = dynamodb.batch_write_item().request_items("financial-transactions", requests.collect());
        batch.send().await.map_err(|error| service_failure(&error))?;
    }
    for item in &items[..UPDATES] {
        let update = dynamodb
            .update_item()
            .table_name("financial-transactions")
            .set_key(Some(key(item)))
            .update_expression("SET #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", AttributeValue::S("APPROVED".to_owned()));
        update.send().await.map_err(|error| service_failure(&error))?;
    }
    for item in &items[ITEMS - DELETES..] {
        let delete = dynamodb.delete_item().table_name("financial-transactions").set_key(Some(key(item)));
        delete.send().await.map_err(|error| service_failure(&error))?;
    }
    Ok(())
}

async fn until_committed(pipeline: &Running, moment: std::time::SystemTime) -> Outcome {
    let committed = tokio::time::timeout(PATIENCE, pipeline.complete_up_to(moment)).await;
    committed.map_err(|_| {
        let reason = pipeline.status.not_ready().unwrap_or_default();
        Failure::new(Exit::Other, format!("the pipeline did not catch up in {PATIENCE:?}: {reason}"))
    })
}

fn service_failure(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::caused_by(Exit::Service, error)
}
