//! What a pipeline touches in AWS, by name: what policies and templates are written from.

use provision::policy::Touched;

use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile, SourceStream};
use crate::failure::{Exit, Failure, Outcome};

/// Makes no call where the file, `catalog` or `account` says what is asked for.
pub async fn touched(
    file: &PipelineFile,
    catalog: Option<&Catalog>,
    account: Option<&str>,
    aws: &Aws,
) -> Outcome<Touched> {
    let catalog = aws.named_or_only(file.catalog.as_ref().or(catalog)).await?;
    let Catalog::TableBucket { arn: table_bucket, region } = catalog else {
        let message = "the table is in an Iceberg REST catalog, whose rights IAM does not know";
        return Err(Failure::new(Exit::Usage, message).advise("--catalog with a table bucket's ARN"));
    };
    let account = account.unwrap_or_else(|| table_bucket.split(':').nth(4).unwrap_or_default()).to_owned();
    let (named, consumer) = match &file.stream {
        SourceStream::Kinesis { named, fan_out } => (named.clone(), fan_out.clone()),
        SourceStream::DynamoDb => (None, None),
    };
    let letters = file.dead_letters.as_ref().map(|prefix| {
        let (bucket, prefix) = prefix.0.trim_start_matches("s3://").split_once('/').unwrap_or_default();
        (bucket.to_owned(), prefix.to_owned())
    });
    let queue = file.dead_letter_queue.as_ref().map(|queue| queue.rsplit('/').next().unwrap_or(queue).to_owned());
    let function = file.lambda.as_ref().map(|function| match function.as_str() {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        name => format!("arn:aws:lambda:{region}:{account}:function:{name}"),
    });
    Ok(Touched {
        kinesis_stream: named.unwrap_or_else(|| format!("{}-changes", file.source_table)),
        reads_kinesis: matches!(file.stream, SourceStream::Kinesis { .. }),
        consumer,
        source_table: file.source_table.clone(),
        namespace: file.target.namespace.clone(),
        table: file.target.table.clone(),
        region,
        account,
        table_bucket,
        letters,
        queue,
        function,
    })
}
