//! The rights that a pipeline needs, and no more: as IAM policies.

use serde::Serialize;
use serde_json::{Value, json};

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `plan`, `apply` and `destroy`.
    Apply,
    /// `run`, `dlq` and `maintain`.
    Run,
    /// `sql`.
    Query,
}

/// What a pipeline touches, by name.
#[derive(Clone, Debug)]
pub struct Touched {
    pub region: String,
    /// Twelve digits.
    pub account: String,
    pub source_table: String,
    /// The Kinesis stream that it reads, or, where it reads the table's own, the one that it would read.
    pub kinesis_stream: String,
    pub reads_kinesis: bool,
    /// The consumer to which that stream is pushed.
    pub consumer: Option<String>,
    /// The table bucket's ARN.
    pub table_bucket: String,
    pub namespace: String,
    pub table: String,
    /// Bucket and prefix of dead letters.
    pub letters: Option<(String, String)>,
    pub queue: Option<String>,
    /// The ARN of the function that records pass through.
    pub function: Option<String>,
}

/// One statement, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub sid: &'static str,
    pub reason: &'static str,
    pub actions: Vec<String>,
    pub resource: String,
    /// Whether it is limited to the pipeline's table by name, as the id in a table's ARN is not known before it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<(String, String)>,
}

impl Statement {
    fn new(sid: &'static str, reason: &'static str, service: &str, actions: &[&str], resource: String) -> Self {
        let actions = actions.iter().map(|action| format!("{service}:{action}")).collect();
        Self { sid, reason, actions, resource, table: None }
    }
}

/// The policy document of statements.
pub fn document(statements: &[Statement]) -> Value {
    let statement = |statement: &Statement| {
        let Statement { sid, actions, resource, table, .. } = statement;
        let mut json = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource });
        if let Some((namespace, name)) = table {
            let equals = json!({ "s3tables:namespace": namespace, "s3tables:tableName": name });
            json["Condition"] = json!({ "StringEquals": equals });
        }
        json
    };
    json!({ "Version": "2012-10-17", "Statement": statements.iter().map(statement).collect::<Vec<Value>>() })
}

/// What `purpose` takes.
pub fn statements(touched: &Touched, purpose: Purpose) -> Vec<Statement> {
    match purpose {
        Purpose::Apply => apply(touched),
        Purpose::Run => run(touched),
        Purpose::Query => query(touched),
    }
}

impl Touched {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    fn source(&self) -> String {
        self.arn("dynamodb", &format!("table/{}", self.source_table))
    }

    fn stream(&self) -> String {
        match self.kinesis_stream.starts_with("arn:") {
            true => self.kinesis_stream.clone(),
            false => self.arn("kinesis", &format!("stream/{}", self.kinesis_stream)),
        }
    }

    fn on_table(&self, sid: &'static str, reason: &'static str, actions: &[&str]) -> Statement {
        let statement = Statement::new(sid, reason, "s3tables", actions, format!("{}/table/*", self.table_bucket));
        Statement { table: Some((self.namespace.clone(), self.table.clone())), ..statement }
    }
}

fn apply(touched: &Touched) -> Vec<Statement> {
    let source = touched.source();
    let mut statements = vec![
        Statement::new(
            "LookAtSource",
            "to see whether the table and its streams are there, and who switched them on; items decide the columns",
            "dynamodb",
            &["DescribeTable", "DescribeKinesisStreamingDestination", "ListTagsOfResource", "Scan"],
            source.clone(),
        ),
        Statement::new(
            "MarkSource",
            "a stream has no tags: its table says who switched it on",
            "dynamodb",
            &["TagResource", "UntagResource"],
            source.clone(),
        ),
    ];
    if touched.reads_kinesis {
        statements.push(Statement::new(
            "SendChanges",
            "to send the table's changes to the stream, and to end that",
            "dynamodb",
            &["DisableKinesisStreamingDestination", "EnableKinesisStreamingDestination"],
            source,
        ));
        statements.push(Statement::new(
            "MakeStream",
            "to make, mark, encrypt and remove the stream; sending changes to it takes the right to describe and to fill it",
            "kinesis",
            &[
                "AddTagsToStream",
                "CreateStream",
                "DeleteStream",
                "DescribeStream",
                "DescribeStreamSummary",
                "ListTagsForStream",
                "PutRecords",
                "StartStreamEncryption",
            ],
            touched.stream(),
        ));
    } else {
        statements.push(Statement::new(
            "SwitchStream",
            "to switch the table's stream on, and off again",
            "dynamodb",
            &["UpdateTable"],
            source,
        ));
        statements.push(Statement::new(
            "LookAtStream",
            "a destroy looks whether an earlier version of the file had a stream made",
            "kinesis",
            &["DescribeStreamSummary"],
            touched.stream(),
        ));
    }
    if let Some((bucket, _)) = &touched.letters {
        let bucket = format!("arn:aws:s3:::{bucket}");
        let objects = format!("{bucket}/*");
        statements.push(Statement::new(
            "MakeLetterBucket",
            "to make, mark and remove the bucket of dead letters",
            "s3",
            &["CreateBucket", "DeleteBucket", "GetBucketTagging", "ListBucket", "TagResource"],
            bucket,
        ));
        statements.push(Statement::new(
            "EmptyLetterBucket",
            "a bucket has to be empty to be removed",
            "s3",
            &["DeleteObject"],
            objects,
        ));
    }
    if let Some(queue) = &touched.queue {
        statements.push(Statement::new(
            "MakeQueue",
            "to make, mark and remove the queue that is told of dead letters",
            "sqs",
            &["CreateQueue", "DeleteQueue", "GetQueueUrl", "ListQueueTags", "TagQueue"],
            touched.arn("sqs", queue),
        ));
    }
    if touched.function.is_some() {
        statements.extend(invoke(touched, "the function decides the columns"));
    }
    let table_bucket = touched.table_bucket.clone();
    statements.push(Statement::new(
        "MakeTableBucket",
        "to make, mark and remove the table bucket and the namespace, and to make a table in it",
        "s3tables",
        &[
            "CreateNamespace",
            "CreateTable",
            "CreateTableBucket",
            "DeleteNamespace",
            "DeleteTableBucket",
            "GetNamespace",
            "GetTableBucket",
            "ListTagsForResource",
            "TagResource",
            "UntagResource",
        ],
        table_bucket.clone(),
    ));
    statements.push(touched.on_table(
        "MakeTable",
        "to make, mark and remove the table; one that is there is read for its columns",
        &["DeleteTable", "GetTable", "GetTableData", "GetTableMetadataLocation", "PutTableData", "TagResource"],
    ));
    statements.push(Statement::new(
        "ReadTableMark",
        "the tags of a table are asked for by its id, which comes with the table",
        "s3tables",
        &["ListTagsForResource"],
        format!("{table_bucket}/table/*"),
    ));
    statements
}

fn run(touched: &Touched) -> Vec<Statement> {
    let look = match touched.reads_kinesis {
        true => &["DescribeKinesisStreamingDestination", "DescribeTable"][..],
        false => &["DescribeTable"],
    };
    let mut statements = vec![Statement::new(
        "LookAtSource",
        "to find the key of the table and its stream",
        "dynamodb",
        look,
        touched.source(),
    )];
    statements.push(match touched.reads_kinesis {
        true => Statement::new(
            "ReadStream",
            "to read the changes",
            "kinesis",
            &["DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"],
            touched.stream(),
        ),
        false => Statement::new(
            "ReadStream",
            "to read the changes; the stream's name ends in the moment when it was switched on",
            "dynamodb",
            &["DescribeStream", "GetRecords", "GetShardIterator"],
            format!("{}/stream/*", touched.source()),
        ),
    });
    if let Some(consumer) = &touched.consumer {
        let actions = &["DescribeStreamConsumer", "RegisterStreamConsumer", "SubscribeToShard"];
        statements.push(Statement::new(
            "FindConsumer",
            "to read as a registered consumer; its rights are asked for of the stream and of the consumer",
            "kinesis",
            actions,
            touched.stream(),
        ));
        statements.push(Statement::new(
            "ReadAsConsumer",
            "the same of the consumer, whose ARN ends in the moment when it was registered",
            "kinesis",
            actions,
            format!("{}/consumer/{consumer}:*", touched.stream()),
        ));
    }
    if touched.function.is_some() {
        statements.extend(invoke(touched, "records pass through the function"));
    }
    if let Some((bucket, prefix)) = &touched.letters {
        statements.push(Statement::new(
            "KeepLetters",
            "to keep dead letters, and to read them again for a redrive",
            "s3",
            &["GetObject", "PutObject"],
            format!("arn:aws:s3:::{bucket}/{prefix}*"),
        ));
    }
    if let Some(queue) = &touched.queue {
        statements.push(Statement::new(
            "TellOfLetters",
            "to tell the queue of dead letters",
            "sqs",
            &["GetQueueUrl", "SendMessage"],
            touched.arn("sqs", queue),
        ));
    }
    statements.push(Statement::new(
        "FindTable",
        "to reach the catalog; maintain finds the table in its lists, and asks for the settings of maintenance",
        "s3tables",
        &["GetTableBucket", "GetTableBucketMaintenanceConfiguration", "ListNamespaces", "ListTables"],
        touched.table_bucket.clone(),
    ));
    statements.push(touched.on_table(
        "WriteTable",
        "to read the checkpoint and to commit rows with it; to read the settings of maintenance",
        &[
            "GetTable",
            "GetTableData",
            "GetTableMaintenanceConfiguration",
            "GetTableMetadataLocation",
            "PutTableData",
            "UpdateTableMetadataLocation",
        ],
    ));
    statements
}

fn query(touched: &Touched) -> Vec<Statement> {
    let all = "*".to_owned();
    vec![
        Statement::new(
            "ListLakes",
            "to know which catalogs a query may name; a list has no narrower resource",
            "s3tables",
            &["ListTableBuckets"],
            all,
        ),
        Statement::new(
            "FindTable",
            "to reach the catalog",
            "s3tables",
            &["GetTableBucket"],
            touched.table_bucket.clone(),
        ),
        touched.on_table("ReadTable", "to read rows", &["GetTableData", "GetTableMetadataLocation"]),
    ]
}

fn invoke(touched: &Touched, reason: &'static str) -> Option<Statement> {
    let function = touched.function.clone()?;
    Some(Statement::new("CallFunction", reason, "lambda", &["InvokeFunction"], function))
}
