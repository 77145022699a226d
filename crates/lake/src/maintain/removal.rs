//! Deletes objects.

use std::sync::Arc;

use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore};

use crate::error::{Error, ErrorKind, Result};

/// Deletes objects, in bulk where the store can. One that is gone already is fine; any other failure ends it, with what
/// was not deleted left where it is.
pub(crate) async fn delete(store: &Arc<dyn ObjectStore>, paths: Vec<Path>) -> Result<()> {
    let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
    let mut deleted = store.delete_stream(paths);
    while let Some(outcome) = deleted.next().await {
        match outcome {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(failed("delete files", error)),
        }
    }
    Ok(())
}

/// What a failure of the store means, while we were doing what `message` says.
pub(crate) fn failed(message: impl Into<String>, error: StoreError) -> Error {
    let kind = match error {
        StoreError::NotFound { .. } => ErrorKind::NotFound,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => ErrorKind::Refused,
        _ => ErrorKind::Transient,
    };
    Error::new(kind, message).with_source(error)
}
