//! What a pipeline is put together from, as its file asks for it.

use std::sync::Arc;

use iceberg::{NamespaceIdent, TableIdent};
use object_store::ObjectStoreScheme;
use pipeline::{
    DeadLetterQueue, Error, ErrorKind, LambdaTransform, LetterQueue, NoDeadLetters, ObjectStoreDeadLetters, Result,
    Target,
};
use url::Url;

use crate::aws::Aws;
use crate::config::PipelineFile;
use crate::failure::{Exit, Failure};

/// The table that a pipeline writes.
pub fn target_of(file: &PipelineFile) -> Target {
    let name = &file.target;
    Target {
        table: TableIdent::new(NamespaceIdent::new(name.namespace.clone()), name.table.clone()),
        mode: file.mode,
        partition: file.partition.clone(),
        evolve: file.evolve,
    }
}

/// Where the letters of a pipeline are kept, and the queue that is told of them. `Misconfigured` where one is not
/// there.
pub async fn dead_letters(
    file: &PipelineFile,
    lake: &lake::Catalog,
    table_location: &str,
    aws: &Aws,
) -> Result<Box<dyn DeadLetterQueue>> {
    let Some(prefix) = &file.dead_letters else { return Ok(Box::new(NoDeadLetters)) };
    let misconfigured = || Error::new(ErrorKind::Misconfigured, format!("open dead letters at {}", prefix.0));
    if ObjectStoreDeadLetters::is_within(&prefix.0, table_location) {
        let message = format!(
            "keep dead letters at {}, among the files of the table, where a sweep deletes what no snapshot names. \
             Try: a prefix in another bucket",
            prefix.0
        );
        return Err(Error::new(ErrorKind::Misconfigured, message));
    }
    let url = Url::parse(&prefix.0).map_err(|error| misconfigured().with_source(error))?;
    let (_, path) = ObjectStoreScheme::parse(&url).map_err(|error| misconfigured().with_source(error))?;
    let store = lake.store_for(&prefix.0).map_err(|error| misconfigured().with_source(error))?;
    let letters = ObjectStoreDeadLetters::new(store, path, &file.name, aws.ambient());
    let Some(queue) = &file.dead_letter_queue else { return Ok(Box::new(letters)) };
    let client = aws.sqs(queue).map_err(by_exit)?;
    let queue = LetterQueue::open(client, queue, url.host_str().unwrap_or_default()).await?;
    Ok(Box::new(letters.announcing_to(queue)))
}

/// The function that records pass through, where the file names one. `source` is what it is told of their origin.
pub fn function_of(file: &PipelineFile, aws: &Aws, source: &str) -> Result<Option<LambdaTransform>> {
    let Some(name) = &file.lambda else { return Ok(None) };
    let misconfigured = |failure: Failure| Error::new(ErrorKind::Misconfigured, failure.message());
    let function = aws.function(name).map_err(misconfigured)?;
    Ok(Some(LambdaTransform {
        function: Arc::new(function),
        name: name.as_str().to_owned(),
        source_arn: source.split('@').next().unwrap_or_default().to_owned(),
        region: aws.region(),
        ambient: aws.ambient(),
    }))
}

/// The supervisor reacts to what went wrong by its kind; what is not there yet may come.
pub fn by_exit(failure: Failure) -> Error {
    let kind = match failure.exit {
        Exit::Service => ErrorKind::Transient,
        Exit::Other => ErrorKind::Unexpected,
        _ => ErrorKind::Misconfigured,
    };
    Error::new(kind, failure.message())
}

pub fn lake_error(error: lake::Error) -> Error {
    let kind = match error.kind() {
        lake::ErrorKind::Transient => ErrorKind::Transient,
        lake::ErrorKind::Fenced => ErrorKind::Fenced,
        lake::ErrorKind::NotFound | lake::ErrorKind::Refused => ErrorKind::Misconfigured,
        lake::ErrorKind::Unexpected => ErrorKind::Unexpected,
    };
    Error::new(kind, "prepare the target").with_source(error)
}
