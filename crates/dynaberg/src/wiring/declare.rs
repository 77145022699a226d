//! What a pipeline file needs of AWS, as a declaration to plan, apply and destroy.

mod egress;
mod rest_table;
mod table;

use provision::resource::{
    Bucket, DynamoDbStream, KinesisDestination, KinesisStream, Namespace, Queue, SourceTable, TableBucket,
};
use provision::{Declaration, Resource, Services};
use serde::Serialize;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, SourceStream};
use crate::failure::{Exit, Failure, Outcome};
pub use egress::Egress;
use rest_table::RestTable;
use table::{Wanted, wanted};

/// A declaration, and what a person wants to know beside it.
pub struct Declared {
    pub declaration: Declaration,
    pub egress: Egress,
    pub backfill: Backfill,
}

/// What reading all that is there would take. No version reads it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backfill {
    pub mode: &'static str,
    pub items: u64,
    pub bytes: u64,
    /// Of a scan, eventually consistent.
    pub read_units: u64,
}

impl std::fmt::Display for Backfill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mode, items, bytes, read_units } = self;
        let size = crate::output::bytes(*bytes);
        write!(
            f,
            "{mode}: older items are not read; a scan of ~{items} items ≈ {size} would take ≈ {read_units} read units"
        )
    }
}

/// Declares what `file` needs. Looks at the source's items where they decide the columns of a table.
pub async fn declare(
    file: &PipelineFile,
    catalog: Option<&Catalog>,
    aws: &Aws,
    services: &Services,
) -> Outcome<Declared> {
    let lake = lake_of(file, catalog, aws, services).await?;
    let source = SourceTable { name: file.source_table.clone() };
    let Some(size) = source.size(services).await? else {
        // The plan says what is wrong with it; nothing else can be known.
        let declaration = Declaration { owner: owner(file), resources: vec![Box::new(source)], about: String::new() };
        let backfill = Backfill { mode: "none", items: 0, bytes: 0, read_units: 0 };
        return Ok(Declared { declaration, egress: Egress::unknown(), backfill });
    };
    let wanted = wanted(file, &lake, aws).await?;
    let about = format!("{:?} {}", file.mode, wanted.transform_id);
    let egress = wanted.egress.clone();
    let mut resources: Vec<Box<dyn Resource>> = vec![Box::new(source)];
    match &file.stream {
        SourceStream::DynamoDb => resources.push(Box::new(DynamoDbStream { table: file.source_table.clone() })),
        SourceStream::Kinesis { named, .. } => {
            let stream = kinesis_stream_of(file, named.as_deref(), services).await?;
            resources.extend(kinesis(file, stream));
        }
    }
    resources.extend(behind_the_stream(file, &lake, Some(wanted), aws).await?);
    let backfill = Backfill { mode: "none", items: size.items, bytes: size.bytes, read_units: size.read_units() };
    Ok(Declared { declaration: Declaration { owner: owner(file), resources, about }, egress, backfill })
}

/// The same for its removal: both kinds of stream, as an earlier version of the file may have asked for the other one.
pub async fn declare_to_destroy(
    file: &PipelineFile,
    catalog: Option<&Catalog>,
    aws: &Aws,
    services: &Services,
) -> Outcome<Declaration> {
    let lake = lake_of(file, catalog, aws, services).await?;
    let named = match &file.stream {
        SourceStream::Kinesis { named, .. } => named.as_deref(),
        SourceStream::DynamoDb => None,
    };
    let stream = kinesis_stream_of(file, named, services).await?;
    let source = file.source_table.clone();
    let mut resources: Vec<Box<dyn Resource>> =
        vec![Box::new(SourceTable { name: source.clone() }), Box::new(DynamoDbStream { table: source })];
    resources.extend(kinesis(file, stream));
    resources.extend(behind_the_stream(file, &lake, None, aws).await?);
    Ok(Declaration { owner: owner(file), resources, about: String::new() })
}

/// How marks name the pipeline.
fn owner(file: &PipelineFile) -> String {
    format!("pipeline/{}", file.name)
}

/// Where the pipeline's table is: a table bucket of this account and region, or another catalog.
enum Lake {
    TableBucket(String),
    Rest(Catalog),
}

async fn lake_of(file: &PipelineFile, catalog: Option<&Catalog>, aws: &Aws, services: &Services) -> Outcome<Lake> {
    let (arn, region) = match aws.named_or_only(file.catalog.as_ref().or(catalog)).await? {
        Catalog::TableBucket { arn, region } => (arn, region),
        rest @ Catalog::Rest { .. } => return Ok(Lake::Rest(rest)),
    };
    let (account, name) = (arn.split(':').nth(4).unwrap_or_default(), arn.rsplit('/').next().unwrap_or_default());
    if region != aws.region() {
        let message =
            format!("the table bucket {name} is in {region}, and this plan would be made in {}", aws.region());
        return Err(Failure::new(Exit::Configuration, message).advise(format!("AWS_REGION={region}")));
    }
    if account != services.caller.account {
        let message = format!(
            "the table bucket {name} belongs to the account {account}, and {} calls for {}",
            services.caller.arn, services.caller.account
        );
        return Err(Failure::new(Exit::Configuration, message).advise("credentials of that account"));
    }
    Ok(Lake::TableBucket(name.to_owned()))
}

/// The stream that is named, or the only one that has the table's changes, or one to be made.
async fn kinesis_stream_of(file: &PipelineFile, named: Option<&str>, services: &Services) -> Outcome<String> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let found = KinesisDestination::the_only_one(services, &file.source_table).await?;
    let own = format!("{}-changes", file.source_table);
    // Once it is there, it is found under the name that it was planned under.
    let here = services.arn("kinesis", "stream/");
    let found = found.map(|arn| arn.strip_prefix(&here).map_or(arn.clone(), str::to_owned));
    Ok(found.unwrap_or_else(|| own.chars().take(STREAM_NAME_MAX).collect()))
}

const STREAM_NAME_MAX: usize = 128;

/// A stream and the way into it, `stream` by name or ARN.
fn kinesis(file: &PipelineFile, stream: String) -> [Box<dyn Resource>; 2] {
    let name = stream.rsplit('/').next().unwrap_or(&stream).to_owned();
    [Box::new(KinesisStream { name }), Box::new(KinesisDestination { table: file.source_table.clone(), stream })]
}

/// Dead letters first: a table that is there is taken for a pipeline that can run.
async fn behind_the_stream(
    file: &PipelineFile,
    lake: &Lake,
    wanted: Option<Wanted>,
    aws: &Aws,
) -> Outcome<Vec<Box<dyn Resource>>> {
    let mut resources: Vec<Box<dyn Resource>> = Vec::new();
    if let Some(prefix) = &file.dead_letters {
        let bucket = prefix.0.trim_start_matches("s3://").split('/').next().unwrap_or_default();
        resources.push(Box::new(Bucket { name: bucket.to_owned() }));
    }
    if let Some(queue) = &file.dead_letter_queue {
        let name = queue.trim_end_matches('/').rsplit('/').next().unwrap_or(queue);
        resources.push(Box::new(Queue { name: name.to_owned() }));
    }
    match lake {
        Lake::TableBucket(table_bucket) => {
            resources.push(Box::new(TableBucket { name: table_bucket.clone() }));
            let (table_bucket, namespace) = (table_bucket.clone(), file.target.namespace.clone());
            resources.push(Box::new(Namespace { table_bucket: table_bucket.clone(), name: namespace }));
            resources.push(Box::new(Wanted::table(wanted, table_bucket, file)));
        }
        Lake::Rest(catalog) => {
            let lake = aws.lake(Some(catalog)).await?;
            resources.push(Box::new(RestTable::new(lake, file, wanted)));
        }
    }
    Ok(resources)
}
