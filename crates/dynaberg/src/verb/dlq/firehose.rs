//! `dynaberg dlq firehose`: the error objects of a delivery stream, and the way back from them.

use pipeline::ErrorObjects;

use crate::aws::Aws;
use crate::cli::{DlqFirehoseArgs, Format};
use crate::failure::Outcome;
use crate::output;
use crate::system;

pub async fn run(arguments: DlqFirehoseArgs) -> Outcome {
    let aws = Aws::from_environment(system::ambient()).await?;
    let client = aws.firehose()?;
    let stream = client.describe(&arguments.delivery_stream).await?;
    let location = format!("s3://{}", stream.bucket);
    let store = lake::open_store(aws.storage(&aws.region())?, aws.ambient(), &location)?;
    let objects = ErrorObjects { store, stream };
    let format = output::format_or_default(arguments.output);
    if !arguments.redrive {
        let codes = objects.preview(&arguments.selection.selection()?).await?;
        return match format {
            Format::Json => output::json(&codes),
            Format::Table => {
                let row = |(code, failed): (&String, &pipeline::FailedOfCode)| {
                    let (first, last) = (output::timestamp(failed.first_ms), output::timestamp(failed.last_ms));
                    let bytes = output::bytes(failed.bytes);
                    vec![code.clone(), failed.records.to_string(), bytes, first, last, failed.message.clone()]
                };
                let rows: Vec<_> = codes.iter().map(row).collect();
                output::columns(&["code", "records", "bytes", "first arrived", "last failed", "example"], &rows)
            }
        };
    }
    let counts = objects.redrive(&client, &arguments.selection.bounded()?).await?;
    match format {
        Format::Json => output::json(&counts),
        Format::Table => output::line(format_args!(
            "redriven {} · remaining {} · unreadable {}",
            counts.redriven, counts.remaining, counts.unreadable
        )),
    }
}
