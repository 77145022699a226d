//! A table's description as the caller sees it.

use aws_wire::AwsError;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::region::Region;

/// Puts our ARNs and our stream into the engine's description of a table.
pub(super) fn description(region: &Region, member: &str, mut answer: Value) -> Result<Bytes, AwsError> {
    let table = &mut answer[member];
    localise(region, &mut table["TableArn"]);
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "VectorIndexes"] {
        let Some(indexes) = table.get_mut(indexes).and_then(Value::as_array_mut) else { continue };
        for index in indexes {
            localise(region, &mut index["IndexArn"]);
        }
    }
    if let Some(key) = table.get_mut("SSEDescription").and_then(|sse| sse.get_mut("KMSMasterKeyArn")) {
        localise(region, key);
    }
    let Some(table) = table.as_object_mut() else { return Ok(render(&answer)) };
    for member in ["StreamSpecification", "LatestStreamArn", "LatestStreamLabel"] {
        table.remove(member);
    }
    let table_name = table["TableName"].as_str().unwrap_or_default();
    let table_id = table.get("TableId").and_then(Value::as_str);
    if let Some(stream) = region.log.catalog().latest(table_name, table_id).cloned() {
        table.insert("LatestStreamArn".to_owned(), stream.arn(&region.account, &region.name).into());
        table.insert("LatestStreamLabel".to_owned(), stream.label.clone().into());
        if stream.is_writable() {
            let specification = json!({"StreamEnabled": true, "StreamViewType": stream.view_type.as_str()});
            table.insert("StreamSpecification".to_owned(), specification);
        }
    }
    Ok(render(&answer))
}

fn render(answer: &Value) -> Bytes {
    Bytes::from(answer.to_string())
}

/// Replaces the engine's region and account in an ARN.
fn localise(region: &Region, arn: &mut Value) {
    let Some(text) = arn.as_str() else { return };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    if let [arn_word, partition, service, engine_region, _, resource] = parts[..]
        && engine_region == dynoxide::streams::LOCAL_REGION
    {
        let Region { name, account, .. } = region;
        *arn = format!("{arn_word}:{partition}:{service}:{name}:{account}:{resource}").into();
    }
}
