//! How to go over to Dynaberg: where it starts, how long both run, and what to look at before the old one goes.

use serde::Serialize;

use super::facts::Facts;

#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub what: String,
    pub command: Option<String>,
}

/// Both deployments read the same stream and write tables of their own, so nothing is lost whenever one of them stops.
pub fn steps(facts: &Facts, table: Option<&str>) -> Vec<Step> {
    let source = facts.source["TableName"].as_str().unwrap_or("TABLE");
    let file = format!("{source}.toml");
    let new_table = format!("{}_mirror", table.unwrap_or("NAMESPACE.TABLE"));
    let step = |what: String, command: Option<String>| Step { what, command };
    let mut steps = vec![step(
        "write a pipeline file, with a new table as its target: the old one is left alone".into(),
        Some(format!("dynaberg init --from dynamodb:{source} --target {new_table} --file {file}")),
    )];
    let kept_hours = facts.kinesis.iter().filter_map(|stream| stream["RetentionPeriodHours"].as_i64()).max();
    match (facts.stream_arn(), kept_hours) {
        (Some(_), _) => steps.push(step(
            "read the table's own stream, which keeps a day: it starts with the oldest record there (trim_horizon). The \
             stream takes two readers a shard: the old function is one of them, Dynaberg the other"
                .into(),
            Some(format!("dynaberg check {file} && dynaberg run {file}      # [source] stream = \"dynamodb\"")),
        )),
        (None, Some(hours)) => steps.push(step(
            format!("read the Kinesis stream, which keeps {hours} hours: it starts with the oldest record there"),
            Some(format!("dynaberg check {file} && dynaberg run {file}      # [source] stream = \"kinesis\"")),
        )),
        (None, None) => steps.push(step(
            "switch a stream on first: what is written from then on arrives".into(),
            Some(format!(
                "aws dynamodb update-table --table-name {source} --stream-specification \
                 StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
            )),
        )),
    }
    let older = facts.comparison.as_ref().map(|seen| seen.items).filter(|items| *items > 0);
    let older = older.map_or(String::new(), |items| format!(" ({items} items are in the table now)"));
    steps.push(step(
        format!(
            "while both run, write every item once more with an attribute changed, so that items older than the stream \
             arrive too{older}: a write that changes nothing makes no record. There is no backfill by scan yet"
        ),
        None,
    ));
    steps.push(step(
        "let both run until everything that was written has arrived: the overlap".into(),
        Some("dynaberg wait && dynaberg status".into()),
    ));
    steps.push(step(
        "compare, while writers rest: none of the faults, and nothing held".into(),
        Some(format!("dynaberg doctor {source} --table {new_table} && dynaberg dlq list {file}")),
    ));
    steps.push(step(
        "point readers at the new table; then stop the old deployment. Going back until then is stopping Dynaberg"
            .into(),
        facts
            .mappings
            .iter()
            .find_map(|mapping| mapping["UUID"].as_str())
            .map(|uuid| format!("aws lambda update-event-source-mapping --uuid {uuid} --no-enabled")),
    ));
    steps
}
