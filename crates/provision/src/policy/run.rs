//! What `run`, `dlq` and `maintain` take.

use super::{Statement, Touched, invoke};

pub(super) fn statements(touched: &Touched) -> Vec<Statement> {
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
