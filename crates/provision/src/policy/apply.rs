//! What `plan`, `apply` and `destroy` take.

use super::{Statement, Touched, invoke};

pub(super) fn statements(touched: &Touched) -> Vec<Statement> {
    let mut statements = of_source(touched);
    statements.extend(if touched.reads_kinesis { of_kinesis(touched) } else { of_stream(touched) });
    statements.extend(of_letters(touched));
    if touched.function.is_some() {
        statements.extend(invoke(touched, "the function decides the columns"));
    }
    statements.extend(of_lake(touched));
    statements
}

fn of_source(touched: &Touched) -> Vec<Statement> {
    let look = Statement::new(
        "LookAtSource",
        "to see whether the table and its streams are there, and who switched them on; items decide the columns",
        "dynamodb",
        &["DescribeTable", "DescribeKinesisStreamingDestination", "ListTagsOfResource", "Scan"],
        touched.source(),
    );
    let mark = Statement::new(
        "MarkSource",
        "a stream has no tags: its table says who switched it on",
        "dynamodb",
        &["TagResource", "UntagResource"],
        touched.source(),
    );
    vec![look, mark]
}

fn of_kinesis(touched: &Touched) -> Vec<Statement> {
    let send = Statement::new(
        "SendChanges",
        "to send the table's changes to the stream, and to end that",
        "dynamodb",
        &["DisableKinesisStreamingDestination", "EnableKinesisStreamingDestination"],
        touched.source(),
    );
    let make = Statement::new(
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
    );
    vec![send, make]
}

fn of_stream(touched: &Touched) -> Vec<Statement> {
    let switch = Statement::new(
        "SwitchStream",
        "to switch the table's stream on, and off again",
        "dynamodb",
        &["UpdateTable"],
        touched.source(),
    );
    let look = Statement::new(
        "LookAtStream",
        "a destroy looks whether an earlier version of the file had a stream made",
        "kinesis",
        &["DescribeStreamSummary"],
        touched.stream(),
    );
    vec![switch, look]
}

fn of_letters(touched: &Touched) -> Vec<Statement> {
    let mut statements = Vec::new();
    if let Some((bucket, _)) = &touched.letters {
        let bucket = format!("arn:aws:s3:::{bucket}");
        let objects = format!("{bucket}/*");
        statements.push(Statement::new(
            "MakeLetterBucket",
            "to make, mark, protect and remove the bucket of dead letters",
            "s3",
            &[
                "CreateBucket",
                "DeleteBucket",
                "GetBucketPolicy",
                "GetBucketTagging",
                "ListBucket",
                "PutBucketPolicy",
                "TagResource",
            ],
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
    statements
}

fn of_lake(touched: &Touched) -> Vec<Statement> {
    let make_bucket = Statement::new(
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
        touched.table_bucket.clone(),
    );
    let make_table = touched.on_table(
        "MakeTable",
        "to make, mark and remove the table; one that is there is read for its columns",
        &["DeleteTable", "GetTable", "GetTableData", "GetTableMetadataLocation", "PutTableData", "TagResource"],
    );
    let read_mark = Statement::new(
        "ReadTableMark",
        "the tags of a table are asked for by its id, which comes with the table",
        "s3tables",
        &["ListTagsForResource"],
        format!("{}/table/*", touched.table_bucket),
    );
    vec![make_bucket, make_table, read_mark]
}
