//! UNLOAD: what a query gives goes into files of the caller's choice.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use query::{Export, LakeError, LakeErrorKind, ObjectAccess, Rows};

use crate::athena::execution::Execution;
use crate::athena::failure::Failure;
use crate::athena::result_file;
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
    if objects.list(Some(&Path::from(prefix))).next().await.is_some() {
        let reason = format!("HIVE_PATH_ALREADY_EXISTS: {location} is not empty. Try: a prefix of its own");
        return Err(Failure::of_user(reason));
    }
    let meter = rows.meter();
    let own = OwnObjects { athena, execution, objects };
    let exported = export.write(&mut rows, &own, &execution.id).await;
    let exported = exported.map_err(|error| Failure::of_query(&error))?;
    execution.manifest_location = Some(write_manifest(athena, execution, &exported.files).await?);
    result_file::write_nothing(athena, execution).await?;
    execution.bytes_scanned = meter.bytes_read();
    execution.row_count = exported.row_count;
    Ok(())
}

/// Puts the list of files that a statement has written into the OutputLocation, and gives its location.
pub(super) async fn write_manifest(
    athena: &Athena,
    execution: &Execution,
    files: &[String],
) -> Result<String, Failure> {
    let lines: String = files.iter().map(|file| format!("{file}\n")).collect();
    result_file::write_manifest(athena, execution, Bytes::from(lines)).await
}

/// Objects that are the caller's own.
struct OwnObjects<'a> {
    athena: &'a Athena,
    execution: &'a Execution,
    objects: Arc<dyn ObjectStore>,
}

#[async_trait]
impl ObjectAccess for OwnObjects<'_> {
    fn open(&self, _bucket: &str) -> Result<Arc<dyn ObjectStore>, LakeError> {
        Ok(self.objects.clone())
    }

    async fn check(&self, _bucket: &str, _keys: Vec<String>) -> Result<(), LakeError> {
        Ok(())
    }

    async fn begin(&self, bucket: &str, key: &str) -> Result<(), LakeError> {
        let owned = result_file::own_objects(self.athena, self.execution, vec![format!("{bucket}/{key}")]).await;
        owned.map_err(|failure| LakeError::new(LakeErrorKind::Unexpected, failure.reason))
    }
}
