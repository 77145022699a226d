//! What time it is where the table's files are.

use std::sync::Arc;

use ambient::Ambient;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::Result;
use crate::maintain::removal::failed;
use crate::scan::Location;

/// The store's time in milliseconds since the Unix epoch, as it stamps a small object below `location`. Files carry the
/// store's time, so that a clock of ours that runs ahead would make all of them look old. Should the object stay behind,
/// the sweep finds it.
pub(crate) async fn now_ms(store: &Arc<dyn ObjectStore>, location: &str, ambient: &Ambient) -> Result<i64> {
    let location = format!("{}/metadata/{}.clock", location.trim_end_matches('/'), ambient.uuid());
    let path = Location::parse(&location)?.path;
    let asking = || format!("ask the store of {location} for its time");
    store.put(&path, Vec::new().into()).await.map_err(|error| failed(asking(), error))?;
    let stamped = store.head(&path).await.map_err(|error| failed(asking(), error))?;
    store.delete(&path).await.map_err(|error| failed(asking(), error))?;
    Ok(stamped.last_modified.timestamp_millis())
}
