//! Which of the sample's faults facts show. Pure: facts in, findings out.

use serde::Serialize;
use serde_json::Value;

use super::compare::Comparison;
use super::facts::{Facts, LakeTable, iceberg_destinations};

/// A fault, what shows it, and what to do about it where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub fault: &'static str,
    pub what: &'static str,
    pub evidence: String,
    pub advice: String,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn find(
        &mut self,
        is_there: bool,
        fault: &'static str,
        what: &'static str,
        evidence: impl Into<String>,
        advice: &str,
    ) {
        if is_there {
            self.0.push(Finding { fault, what, evidence: evidence.into(), advice: advice.to_owned() });
        }
    }
}

/// Everything that is found, by the number of the fault.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    judge_sources(facts, &mut findings);
    judge_mappings(facts, &mut findings);
    judge_deliveries(facts, &mut findings);
    judge_outcomes(facts, &mut findings);
    judge_rights(facts, &mut findings);
    if let Some(lake) = &facts.lake {
        judge_lake(lake, &mut findings);
        if let Some(comparison) = &facts.comparison {
            judge_rows(comparison, &mut findings);
            if !lake.is_ours {
                judge_values(comparison, &mut findings);
            }
        }
    }
    findings.0.sort_by_key(|finding| finding.fault[1..].parse::<u32>().unwrap_or_default());
    findings.0
}

fn judge_sources(facts: &Facts, findings: &mut Findings) {
    let name = facts.source["TableName"].as_str().unwrap_or_default();
    let feeds = facts.stream_arn().is_some() || !facts.kinesis.is_empty();
    findings.find(
        !feeds,
        "W19",
        "the table feeds nothing",
        format!("{name} has neither a stream nor a Kinesis destination"),
        "aws dynamodb update-table --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
    );
    for stream in &facts.kinesis {
        let (hours, stream) = (stream["RetentionPeriodHours"].as_i64(), stream["StreamName"].as_str());
        findings.find(
            hours.is_some_and(|hours| hours <= 24),
            "W16",
            "what is not read in a day is lost",
            format!("Kinesis stream {} keeps {} hours", stream.unwrap_or("?"), hours.unwrap_or_default()),
            "aws kinesis increase-stream-retention-period --retention-period-hours 168",
        );
    }
    let watches_age = |alarm: &Value| {
        const AGES: [&str; 6] = [
            "IteratorAge",
            "GetRecords.IteratorAgeMilliseconds",
            "DeliveryToIceberg.DataFreshness",
            "dynaberg_freshness_seconds",
            "dynaberg_iterator_age_seconds",
            "dynaberg_retention_headroom_seconds",
        ];
        alarm["MetricName"].as_str().is_some_and(|metric| AGES.contains(&metric))
    };
    findings.find(
        feeds && facts.alarms.as_ref().is_some_and(|alarms| !alarms.iter().any(watches_age)),
        "W16",
        "nobody is told when it falls behind",
        format!("of {} alarms none watches the age of what is not delivered", facts.alarms.iter().flatten().count()),
        "the alarms of deploy/alerts/alarms.json",
    );
}

fn judge_mappings(facts: &Facts, findings: &mut Findings) {
    for mapping in &facts.mappings {
        let function = mapping["FunctionArn"].as_str().and_then(|arn| arn.rsplit(':').next()).unwrap_or("?");
        let on_failure = mapping["DestinationConfig"]["OnFailure"]["Destination"].as_str().is_none_or(str::is_empty);
        let is_unbounded = mapping["MaximumRetryAttempts"].as_i64().is_none_or(|retries| retries < 0);
        let bisects = mapping["BisectBatchOnFunctionError"] == true;
        let mut faults = Vec::new();
        faults.extend(on_failure.then_some("it has no on-failure destination"));
        faults.extend(is_unbounded.then_some("it tries for ever"));
        faults.extend((!bisects).then_some("it does not bisect a batch that fails"));
        findings.find(
            on_failure || is_unbounded || !bisects,
            "W7",
            "one bad record holds its shard until it expires, and is gone then",
            format!("the mapping of function {function}: {}", faults.join(", ")),
            "aws lambda update-event-source-mapping --bisect-batch-on-function-error --maximum-retry-attempts 5 \
             --destination-config OnFailure={Destination=QUEUE-ARN}",
        );
    }
}

fn judge_deliveries(facts: &Facts, findings: &mut Findings) {
    let keys = facts.key_attributes();
    for delivery in &facts.deliveries {
        let name = delivery["DeliveryStreamName"].as_str().unwrap_or("?");
        for table in
            iceberg_destinations(delivery).flat_map(|it| it["DestinationTableConfigurationList"].as_array()).flatten()
        {
            let unique = table["UniqueKeys"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let unique: Vec<String> = unique.map(str::to_lowercase).collect();
            let missing: Vec<&String> = keys.iter().filter(|key| !unique.contains(&key.to_lowercase())).collect();
            findings.find(
                !missing.is_empty() && !unique.is_empty(),
                "W3",
                "items with the same partition key are taken for one",
                format!("delivery stream {name}: its unique keys lack {missing:?}"),
                "unique keys: all key attributes of the DynamoDB table",
            );
        }
    }
}

/// What became of records on their way through a function, and of the tables that they were meant for.
fn judge_outcomes(facts: &Facts, findings: &mut Findings) {
    for (stream, records) in &facts.unaccounted {
        findings.find(
            true,
            "W6",
            "records that are skipped on purpose count as failures",
            format!("{records} records of delivery stream {stream} failed with Lambda.MissingRecordId"),
            "a function that gives every recordId back, with result Dropped; or a WHERE in a pipeline's SELECT",
        );
    }
    for missing in &facts.missing_tables {
        findings.find(
            true,
            "W13",
            "the deployment went well, and its table was never made",
            format!("{missing} is not there"),
            "dynaberg plan and apply, which say what failed; or aws s3tables create-table",
        );
    }
}

fn judge_rights(facts: &Facts, findings: &mut Findings) {
    for wildcard in &facts.wildcards {
        findings.find(
            true,
            "W15",
            "a role may do more than its work takes",
            wildcard.clone(),
            "dynaberg iam-policy PIPELINE.toml: named actions on named resources, each with its reason",
        );
    }
    let Some(settings) = &facts.settings else { return };
    let admins = settings["DataLakeAdmins"].as_array().into_iter().flatten();
    let admins: Vec<&str> = admins.filter_map(|admin| admin["DataLakePrincipalIdentifier"].as_str()).collect();
    for writer in facts.writers() {
        findings.find(
            admins.contains(&writer),
            "W14",
            "who writes one table administers the whole lake",
            format!("{writer} is a data lake administrator"),
            "take it out of the administrators; aws lakeformation grant-permissions on its own table",
        );
    }
}

fn judge_lake(lake: &LakeTable, findings: &mut Findings) {
    let mut faults = Vec::new();
    faults.extend((!lake.is_partitioned).then(|| "it has no partitions".to_owned()));
    faults.extend((!lake.jobs_off.is_empty()).then(|| format!("{} is switched off", lake.jobs_off.join(" and "))));
    findings.find(
        !faults.is_empty(),
        "W12",
        "queries read everything, and files and snapshots pile up",
        format!("{}: {}", lake.name, faults.join(", ")),
        "a new table with [target] partition; aws s3tables put-table-maintenance-configuration",
    );
}

fn judge_rows(seen: &Comparison, findings: &mut Findings) {
    findings.find(
        seen.rows_without_item > 0,
        "W1",
        "deleted items stay in the lake",
        format!("{} of {} rows have no item any more", seen.rows_without_item, seen.rows),
        "a pipeline in mode mirror: REMOVE and expiry delete the row",
    );
    // A change of an attribute that has no column makes equal rows, too.
    let (again, repeated) = match seen.attributes_lost.is_empty() {
        true => (seen.rows_again, seen.rows_repeated),
        false => (seen.rows_again + seen.rows_repeated, 0),
    };
    findings.find(
        again > 0,
        "W2",
        "a change adds a row beside the one it changes",
        format!("{again} of {} rows are there again with the same key", seen.rows),
        "a pipeline in mode mirror: one row a key",
    );
    findings.find(
        repeated > 0,
        "W8",
        "a batch of which a part had arrived was sent again as a whole",
        format!("{repeated} of {} rows are there again, the same in every column", seen.rows),
        "a pipeline: rows and position are committed together",
    );
    findings.find(
        seen.items_hidden > 0,
        "W3",
        "items with the same partition key are taken for one",
        format!("{} items have no row, while another with the same partition key has one", seen.items_hidden),
        "unique keys: all key attributes of the DynamoDB table",
    );
    findings.find(
        seen.items_without_row > 0,
        "W9",
        "items from before the start never arrive",
        format!("{} of {} items have no row", seen.items_without_row, seen.items),
        "write them again with an attribute changed, while the pipeline runs",
    );
}

fn judge_values(seen: &Comparison, findings: &mut Findings) {
    let list = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    findings.find(
        !seen.mistyped.is_empty(),
        "W4",
        "values land as something else than they are",
        format!("columns {} hold other types than the items", list(&seen.mistyped)),
        "a pipeline without a transform, or casts in its SELECT: all ten types of DynamoDB arrive as themselves",
    );
    findings.find(
        !seen.rounded.is_empty(),
        "W5",
        "numbers lose digits",
        format!("columns {} are floats, and their numbers have more digits", list(&seen.rounded)),
        "decimal columns",
    );
    findings.find(
        !seen.shifted.is_empty(),
        "W10",
        "date and time are computed anew, in another zone",
        format!("columns {} differ from the items", list(&seen.shifted)),
        "one place that derives them, with the zone said: from_millis() in the pipeline's SELECT",
    );
    findings.find(
        seen.rows_stale > 0,
        "W11",
        "an older state is left over a newer one",
        format!(
            "{} rows differ from their items; run it again to rule out that they are on their way",
            seen.rows_stale
        ),
        "a pipeline in mode mirror: of an item the newest change counts",
    );
    findings.find(
        !seen.attributes_lost.is_empty(),
        "W17",
        "new attributes are dropped",
        format!("attributes {} have no column", list(&seen.attributes_lost)),
        "[target] evolve = true, or a SELECT that names what is wanted",
    );
    findings.find(
        !seen.columns_unused.is_empty(),
        "W18",
        "the table's definition and the data contradict each other",
        format!("columns {} are never filled", list(&seen.columns_unused)),
        "one source of the schema: the pipeline's SELECT",
    );
}
