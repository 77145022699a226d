//! The three stacks of the blog, from its context file: what each makes, what it gives to the next, and their order.
//! <https://aws.amazon.com/blogs/storage/stream-amazon-dynamodb-table-data-to-amazon-s3-tables-for-analytics/>

mod context;
mod output;

use serde_json::{Value, json};

pub use context::{Context, Misread, StreamType};
pub use output::{Output, export_of, outputs};

use crate::call::Services;
use crate::error::Result;
use crate::resource::{
    Administrator, Bucket, Declaration, DynamoDbStream, DynamoDbTable, Grant, GrantOn, IcebergTable, KeyElement,
    KinesisDestination, KinesisStream, Namespace, Resource, ResourceLink, TableBucket,
};

/// The table that the blog's writer fills.
pub const SOURCE_TABLE: &str = "financial-transactions";
/// The database of the default catalog that leads to the namespace.
pub const RESOURCE_LINK: &str = "firehoses3tableresourcelink";
const KINESIS_STREAM: &str = "financial-transactions-stream";
const CAPACITY: (u32, u32) = (10, 10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    Pipeline,
    LakeFormation,
    Firehose,
}

impl Stack {
    /// In the order in which they are deployed.
    pub const ALL: [Self; 3] = [Self::Pipeline, Self::LakeFormation, Self::Firehose];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "PipelineStack",
            Self::LakeFormation => "LakeFormationStack",
            Self::Firehose => "FirehoseStack",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stack| stack.name() == name)
    }

    /// How marks name it.
    pub fn owner(self) -> String {
        format!("stack/{}", self.name())
    }

    /// Those that have to be there before it.
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::Pipeline => &[],
            Self::LakeFormation => &[Self::Pipeline],
            Self::Firehose => &[Self::Pipeline, Self::LakeFormation],
        }
    }
}

/// What a stack makes. `writer` is the ARN of the principal that writes the table; `pipeline` runs what the stacks are for.
pub fn declare(
    stack: Stack,
    context: &Context,
    writer: &str,
    pipeline: Option<Box<dyn Resource>>,
    services: &Services,
) -> Declaration {
    let resources = match stack {
        Stack::Pipeline => pipeline_stack(context, false),
        Stack::LakeFormation => {
            let administrator = administrator(&services.caller.arn);
            lake_formation_stack(context, &[writer.to_owned()], administrator.as_slice(), services)
        }
        Stack::Firehose => pipeline.into_iter().collect(),
    };
    Declaration { owner: stack.owner(), resources, about: String::new() }
}

/// The same for its removal: what an earlier context, another writer and another deployer asked for, too.
pub async fn declare_to_destroy(
    stack: Stack,
    context: &Context,
    writer: &str,
    pipeline: Option<Box<dyn Resource>>,
    services: &Services,
) -> Result<Declaration> {
    let resources = match stack {
        Stack::Pipeline => pipeline_stack(context, true),
        Stack::LakeFormation => {
            let mut writers = Grant::grantees(services, RESOURCE_LINK).await?;
            writers.extend((!writers.iter().any(|other| other == writer)).then(|| writer.to_owned()));
            let administrators = Administrator::made(services, RESOURCE_LINK).await?;
            lake_formation_stack(context, &writers, &administrators, services)
        }
        Stack::Firehose => pipeline.into_iter().collect(),
    };
    Ok(Declaration { owner: stack.owner(), resources, about: String::new() })
}

fn pipeline_stack(context: &Context, with_both_streams: bool) -> Vec<Box<dyn Resource>> {
    let (table, table_bucket) = (SOURCE_TABLE.to_owned(), context.table_bucket_name.clone());
    let keys = [("transaction_id", "S"), ("timestamp", "N")];
    let keys = keys.map(|(name, kind)| KeyElement { name: name.to_owned(), kind }).into();
    let mut resources: Vec<Box<dyn Resource>> =
        vec![Box::new(DynamoDbTable { name: table.clone(), keys, capacity: CAPACITY })];
    if with_both_streams || context.stream_type == StreamType::DynamoDb {
        resources.push(Box::new(DynamoDbStream { table: table.clone() }));
    }
    if with_both_streams || context.stream_type == StreamType::Kinesis {
        let stream = KINESIS_STREAM.to_owned();
        resources.push(Box::new(KinesisStream { name: stream.clone() }));
        resources.push(Box::new(KinesisDestination { table, stream }));
    }
    resources.push(Box::new(TableBucket { name: table_bucket.clone() }));
    resources.push(Box::new(Namespace { table_bucket: table_bucket.clone(), name: context.namespace.clone() }));
    resources.push(Box::new(IcebergTable {
        table_bucket,
        namespace: context.namespace.clone(),
        name: context.table_name.clone(),
        summary: format!("{} columns, key transaction_id and timestamp", COLUMNS.len()),
        definition: transactions(),
    }));
    resources
}

fn lake_formation_stack(
    context: &Context,
    writers: &[String],
    administrators: &[String],
    services: &Services,
) -> Vec<Box<dyn Resource>> {
    let catalog = format!("{}:s3tablescatalog/{}", services.caller.account, context.table_bucket_name);
    let (database, name) = (context.namespace.clone(), context.table_name.clone());
    let link = ResourceLink { name: RESOURCE_LINK.to_owned(), catalog: catalog.clone(), database: database.clone() };
    let mut resources: Vec<Box<dyn Resource>> =
        vec![Box::new(Bucket { name: context.bucket_name.clone() }), Box::new(link)];
    for principal in administrators {
        let marked_by = RESOURCE_LINK.to_owned();
        resources.push(Box::new(Administrator { principal: principal.clone(), marked_by }));
    }
    for writer in writers {
        let table = GrantOn::Table { catalog: catalog.clone(), database: database.clone(), name: name.clone() };
        let link = GrantOn::Database { name: RESOURCE_LINK.to_owned() };
        let grants: [(GrantOn, &'static [&'static str]); 2] = [(table, &["ALL"]), (link, &["DESCRIBE"])];
        for (on, permissions) in grants {
            let marked_by = RESOURCE_LINK.to_owned();
            resources.push(Box::new(Grant { principal: writer.clone(), on, permissions, marked_by }));
        }
    }
    resources
}

/// Whoever deploys has to be an administrator to grant. Lake Formation knows roles, not their sessions; the account's root
/// may do everything, and Lake Formation does not take it.
fn administrator(caller: &str) -> Option<String> {
    let role = caller.split_once(":assumed-role/").and_then(|(_, session)| session.split('/').next());
    match role {
        Some(role) => {
            let account = caller.split(':').nth(4).unwrap_or_default();
            Some(format!("arn:aws:iam::{account}:role/{role}"))
        }
        None => (!caller.ends_with(":root")).then(|| caller.to_owned()),
    }
}

/// The columns that the blog gives its table; only the first is required.
const COLUMNS: [(&str, &str); 22] = [
    ("transaction_id", "string"),
    ("timestamp", "long"),
    ("customer_id", "string"),
    ("date", "date"),
    ("hour", "int"),
    ("minute", "int"),
    ("transaction_type", "string"),
    ("amount", "decimal(12,2)"),
    ("currency", "string"),
    ("merchant_category", "string"),
    ("payment_method", "string"),
    ("region", "string"),
    ("risk_score", "string"),
    ("status", "string"),
    ("processing_timestamp", "long"),
    ("device_type", "string"),
    ("authentication_method", "string"),
    ("merchant_id", "string"),
    ("velocity_check", "string"),
    ("amount_threshold", "string"),
    ("location_risk", "string"),
    ("pattern_match", "string"),
];

fn transactions() -> Value {
    let fields = COLUMNS.iter().enumerate();
    let fields = fields.map(|(index, (name, kind))| json!({ "name": name, "type": kind, "required": index == 0 }));
    json!({ "schema": { "fields": fields.collect::<Vec<Value>>() } })
}

/// The pipeline file of the deployed pipeline.
pub fn pipeline_file(context: &Context, services: &Services) -> String {
    let Context { table_bucket_name, table_name, namespace, bucket_name, stream_type } = context;
    let table_bucket = services.arn("s3tables", &format!("bucket/{table_bucket_name}"));
    let stream = match stream_type {
        StreamType::DynamoDb => "stream = \"dynamodb\"".to_owned(),
        StreamType::Kinesis => format!("stream = \"kinesis\"\nkinesis_stream = \"{KINESIS_STREAM}\""),
    };
    format!(
        "# Written by `dynaberg deploy FirehoseStack`.\n[source]\ntable = \"{SOURCE_TABLE}\"\n{stream}\n\n\
         [target]\ncatalog = \"{table_bucket}\"\ntable = \"{namespace}.{table_name}\"\nmode = \"mirror\"\n\
         evolve = false\n\n[delivery]\ninterval = \"{INTERVAL}\"\nsize = \"1MB\"\n\n[dead_letters]\n\
         errors = \"s3://{bucket_name}/errors/\"\nredrive = 5\n"
    )
}

/// The blog's delivery stream waits 60 seconds for 1 MB; a commit of ours costs less, so it comes sooner.
const INTERVAL: &str = "10s";
