//! UNLOAD: what a query gives goes into files of the caller's choice.

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use query::{Export, Rows};

use crate::athena::execution::Execution;
use crate::athena::failure::Failure;
use crate::athena::result_file::{self, exceeded};
use crate::athena::{Athena, start};

/// Writes the rows, and in the OutputLocation a manifest of the files. They are the caller's own, as a result is.
pub(super) async fn write(
    athena: &Athena,
    execution: &mut Execution,
    mut rows: Rows,
    export: &Export,
) -> Result<(), Failure> {
    let location = export.location.as_str();
    let (bucket, prefix) = start::parse_location(location).map_err(|error| Failure::of_user(error.message))?;
    let objects = athena.lakehouse.objects(&bucket).filter(|_| !bucket.ends_with("--table-s3"));
    let Some(objects) = objects else {
        return Err(Failure::of_user(format!("NOT_FOUND: there is no bucket {bucket} to unload to")));
    };
    let prefix = Path::from(prefix);
    if objects.list(Some(&prefix)).next().await.is_some() {
        let reason = format!("HIVE_PATH_ALREADY_EXISTS: {location} is not empty. Try: a prefix of its own");
        return Err(Failure::of_user(reason));
    }
    let file = prefix.join(format!("{}_0.{}", execution.id, export.extension()));
    result_file::own_objects(athena, execution, vec![format!("{bucket}/{file}")]).await?;
    let meter = rows.meter();
    let row_count = tokio::select! {
        written = export.write(&mut rows, objects, file.clone()) => {
            written.map_err(|error| Failure::of_query(&error))?
        }
        failure = exceeded(execution, &meter) => return Err(failure),
    };
    let files = if row_count > 0 { format!("s3://{bucket}/{file}\n") } else { String::new() };
    let manifest = result_file::write_manifest(athena, execution, Bytes::from(files)).await?;
    result_file::write_nothing(athena, execution).await?;
    execution.bytes_scanned = meter.bytes_read();
    execution.row_count = row_count;
    execution.manifest_location = Some(manifest);
    Ok(())
}
