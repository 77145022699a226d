//! Streams of tables: what a request asks for, and switching them on and off in the shard log.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_wire::AwsError;
use serde_json::Value;

use super::error::validation;
use crate::region::Region;
use crate::shard_log::catalog::Edit;
use crate::shard_log::stream::{Stream, StreamStatus, StreamViewType};
use crate::streams::{drain_error, label};

/// What a StreamSpecification asks for.
pub(super) enum Wanted {
    On(StreamViewType),
    Off,
}

/// Reads the request's StreamSpecification; nothing where it has none.
pub(super) fn wanted_stream(body: &Value) -> Result<Option<Wanted>, AwsError> {
    let specification = &body["StreamSpecification"];
    if specification.is_null() {
        return Ok(None);
    }
    match specification["StreamEnabled"].as_bool() {
        Some(false) => Ok(Some(Wanted::Off)),
        Some(true) => match specification["StreamViewType"].as_str() {
            None => Err(validation(
                "Invalid StreamViewType: Stream ViewType must not be null or empty when enabling streams.",
            )),
            Some(view_type) => match StreamViewType::parse(view_type) {
                Some(view_type) => Ok(Some(Wanted::On(view_type))),
                None => Err(validation(format!(
                    "1 validation error detected: Value '{view_type}' at 'streamSpecification.streamViewType' failed to \
                     satisfy constraint: Member must satisfy enum value set: \
                     [NEW_AND_OLD_IMAGES, OLD_IMAGE, KEYS_ONLY, NEW_IMAGE]"
                ))),
            },
        },
        None => Err(validation(
            "1 validation error detected: Value null at 'streamSpecification.streamEnabled' failed to satisfy \
             constraint: Member must not be null",
        )),
    }
}

/// Writes the stream down before the engine is asked to record: no change can come before its stream.
pub(super) async fn enable(
    region: &Arc<Region>,
    table_name: &str,
    view_type: StreamViewType,
    key_schema: Value,
    table_id: Option<String>,
) -> Result<u64, AwsError> {
    let now_ms = region.ambient.now_ms();
    let catalog = region.log.catalog();
    let id = region.ambient.random();
    let id = (id >> 64) as u64 ^ id as u64;
    let mut stream = Stream {
        id,
        table_name: table_name.to_owned(),
        table_id,
        label: label::free(&catalog, table_name, now_ms),
        view_type,
        key_schema,
        created_ms: now_ms,
        status: StreamStatus::Enabling,
        open_shard_count: region.options.shards_per_table.max(1),
        next_sequence: catalog.next_sequence(table_name),
        shards: BTreeMap::new(),
    };
    stream.open_shards(now_ms);
    region.edit(move |edit| edit.insert(stream)).await.map_err(drain_error)?;
    Ok(id)
}

/// Notes that the engine records the table's changes now.
pub(super) async fn confirm(region: &Arc<Region>, id: u64, table_id: Option<String>) -> Result<(), AwsError> {
    let confirm = move |edit: &mut Edit| {
        if let Some(stream) = edit.change(id) {
            stream.table_id = table_id;
            stream.status = StreamStatus::Enabled;
        }
    };
    region.edit(confirm).await.map_err(drain_error)
}

/// Closes a stream that the engine records no longer.
pub(super) async fn disable(region: &Arc<Region>, id: u64) -> Result<(), AwsError> {
    let now_ms = region.ambient.now_ms();
    let disable = move |edit: &mut Edit| {
        if let Some(stream) = edit.change(id) {
            stream.disable(now_ms);
        }
    };
    region.edit(disable).await.map_err(drain_error)
}

/// Takes back a stream that the engine did not begin to record.
pub(super) async fn forget(region: &Arc<Region>, id: u64) -> Result<(), AwsError> {
    region.edit(move |edit| edit.remove(id)).await.map_err(drain_error)
}
