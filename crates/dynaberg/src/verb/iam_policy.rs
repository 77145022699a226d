//! `dynaberg iam-policy`: the rights that a pipeline needs, each statement with its reason.

use provision::policy::{Purpose, Statement, Touched, document, statements};

use crate::aws::Aws;
use crate::cli::{Format, IamPolicyArgs, PolicyFor};
use crate::config::{Catalog, PipelineFile, SourceStream};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;

use super::sql::parse_catalog;

pub async fn run(arguments: IamPolicyArgs) -> Outcome {
    let file = PipelineFile::read(&arguments.pipeline)?;
    let touched = touched(&file, &arguments).await?;
    let purpose = match arguments.purpose {
        PolicyFor::Apply => Purpose::Apply,
        PolicyFor::Run => Purpose::Run,
        PolicyFor::Query => Purpose::Query,
    };
    let statements = statements(&touched, purpose);
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&document(&statements)),
        Format::Table => statements.iter().try_for_each(show),
    }
}

fn show(statement: &Statement) -> Outcome {
    let Statement { sid, reason, actions, resource, table } = statement;
    output::line(format_args!("{sid}: {reason}"))?;
    output::line(format_args!("  {}", actions.join(", ")))?;
    match table {
        Some((namespace, name)) => output::line(format_args!("  on {resource}, where it is {namespace}.{name}")),
        None => output::line(format_args!("  on {resource}")),
    }
}

async fn touched(file: &PipelineFile, arguments: &IamPolicyArgs) -> Outcome<Touched> {
    let given = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = match file.catalog.clone().or(given) {
        Some(catalog) => catalog,
        None => aws.named_or_only(None).await?,
    };
    let Catalog::TableBucket { arn: table_bucket, region } = catalog else {
        let message = "the table is in an Iceberg REST catalog, whose rights IAM does not know";
        return Err(Failure::new(Exit::Usage, message).advise("--catalog with a table bucket's ARN"));
    };
    let account = match &arguments.account {
        Some(account) => account.clone(),
        None => table_bucket.split(':').nth(4).unwrap_or_default().to_owned(),
    };
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
