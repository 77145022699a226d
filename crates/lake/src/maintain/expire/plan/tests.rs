use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// When the plans are made.
const NOW_MS: i64 = 1_700_000_000_000;

const FOREIGN: bool = false;
const OURS: bool = true;

/// A table as it is written: snapshots as (id, parent, age in hours, whose).
fn table(snapshots: &[(i64, Option<i64>, i64, bool)], refs: Value, properties: Value) -> TableMetadata {
    let written = snapshots.iter().map(|(id, parent, age, is_ours)| {
        let mut summary = json!({"operation": "append"});
        if *is_ours {
            summary["dynaberg.pipeline"] = "orders".into();
            summary["dynaberg.epoch"] = "1".into();
            summary["dynaberg.commit-id"] = format!("00000000-0000-0000-0000-{id:012}").into();
        }
        let mut snapshot = json!({
            "snapshot-id": id, "sequence-number": id, "timestamp-ms": NOW_MS - age * HOUR_MS, "summary": summary,
            "manifest-list": format!("s3://b/t/metadata/{id}.avro"), "schema-id": 0,
        });
        if let Some(parent) = parent {
            snapshot["parent-snapshot-id"] = (*parent).into();
        }
        snapshot
    });
    let head = &refs["main"]["snapshot-id"];
    serde_json::from_value(json!({
        "format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "s3://b/t",
        "last-sequence-number": 20_000, "last-updated-ms": NOW_MS, "last-column-id": 1,
        "schemas": [{"schema-id": 0, "type": "struct", "fields": [
            {"id": 1, "name": "id", "required": true, "type": "string"}]}],
        "current-schema-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0,
        "last-partition-id": 999, "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0,
        "current-snapshot-id": head, "snapshots": written.collect::<Vec<_>>(), "refs": refs, "properties": properties,
    }))
    .unwrap()
}

fn branch(head: i64) -> Value {
    json!({"snapshot-id": head, "type": "branch"})
}

/// Witness of a stamp, as the table property holds it.
fn witness(snapshot_id: i64) -> Value {
    let commit_id = format!("00000000-0000-0000-0000-{snapshot_id:012}");
    let text = json!({"snapshot-id": snapshot_id, "pipeline": "orders", "epoch": 1, "commit-id": commit_id});
    json!({"dynaberg.checkpoint": text.to_string()})
}

fn policy(snapshots_min: u32, hours: u64) -> SnapshotPolicy {
    SnapshotPolicy { snapshots_min, age_max: Duration::from_secs(hours * 60 * 60) }
}

#[track_caller]
fn check(table: &TableMetadata, policy: &SnapshotPolicy, snapshot_ids: &[i64], refs: &[&str]) {
    let plan = plan(table, policy, NOW_MS).unwrap();
    assert_eq!(plan.snapshot_ids, snapshot_ids);
    assert_eq!(plan.refs, refs);
}

/// Four snapshots of others, a day apart, the head new.
const FOUR_DAYS: [(i64, Option<i64>, i64, bool); 4] =
    [(1, None, 72, FOREIGN), (2, Some(1), 48, FOREIGN), (3, Some(2), 24, FOREIGN), (4, Some(3), 0, FOREIGN)];

#[test]
fn a_snapshot_leaves_when_it_is_old_and_enough_are_newer() {
    let table = table(&FOUR_DAYS, json!({"main": branch(4)}), json!({}));
    check(&table, &policy(1, 30), &[1, 2], &[]);
    check(&table, &policy(3, 30), &[1], &[]);
    check(&table, &policy(9, 30), &[], &[]);
    check(&table, &policy(1, 100), &[], &[]);
    check(&table, &policy(1, 48), &[1], &[]);
}

#[test]
fn the_head_stays_however_old() {
    let table = table(&[(1, None, 900, FOREIGN), (2, Some(1), 800, FOREIGN)], json!({"main": branch(2)}), json!({}));
    check(&table, &policy(0, 0), &[1], &[]);
}

#[test]
fn a_table_without_snapshots_has_none_to_lose() {
    check(&table(&[], json!({}), json!({})), &SnapshotPolicy::default(), &[], &[]);
}

#[test]
fn what_a_tag_names_and_the_head_of_a_branch_stay() {
    let tag = json!({"snapshot-id": 1, "type": "tag"});
    let table = table(&FOUR_DAYS, json!({"main": branch(4), "q3": tag, "audit": branch(2)}), json!({}));
    check(&table, &policy(1, 1), &[3], &[]);
}

#[test]
fn each_branch_keeps_its_own() {
    // main is 1 ← 2 ← 4, the branch 1 ← 3 ← 5.
    let snapshots = [
        (1, None, 90, FOREIGN),
        (2, Some(1), 80, FOREIGN),
        (3, Some(1), 70, FOREIGN),
        (4, Some(2), 60, FOREIGN),
        (5, Some(3), 50, FOREIGN),
    ];
    let mut audit = branch(5);
    check(&table(&snapshots, json!({"main": branch(4), "audit": audit}), json!({})), &policy(1, 1), &[1, 2, 3], &[]);
    audit["min-snapshots-to-keep"] = 2.into();
    check(&table(&snapshots, json!({"main": branch(4), "audit": audit}), json!({})), &policy(1, 1), &[1, 2], &[]);
    audit["max-snapshot-age-ms"] = (95 * HOUR_MS).into();
    check(&table(&snapshots, json!({"main": branch(4), "audit": audit}), json!({})), &policy(1, 1), &[2], &[]);
}

#[test]
fn the_longer_of_policy_and_table_wins() {
    let with = |name: &str, value: i64| table(&FOUR_DAYS, json!({"main": branch(4)}), json!({name: value.to_string()}));
    check(&with("history.expire.max-snapshot-age-ms", 60 * HOUR_MS), &policy(1, 30), &[1], &[]);
    check(&with("history.expire.max-snapshot-age-ms", HOUR_MS), &policy(1, 30), &[1, 2], &[]);
    check(&with("history.expire.min-snapshots-to-keep", 3), &policy(1, 1), &[1], &[]);
}

#[test]
fn a_ref_that_outlived_its_age_leaves_and_main_never_does() {
    let main = json!({"snapshot-id": 4, "type": "branch", "max-ref-age-ms": 1});
    let tag = json!({"snapshot-id": 1, "type": "tag", "max-ref-age-ms": 60 * HOUR_MS});
    let young = json!({"snapshot-id": 2, "type": "tag", "max-ref-age-ms": 60 * HOUR_MS});
    let refs = json!({"main": main, "old": tag, "young": young});
    check(&table(&FOUR_DAYS, refs.clone(), json!({})), &policy(1, 1), &[1, 3], &["old"]);
    let refs = json!({"main": branch(4), "q3": {"snapshot-id": 1, "type": "tag"}});
    let property = json!({"history.expire.max-ref-age-ms": HOUR_MS.to_string()});
    check(&table(&FOUR_DAYS, refs, property), &policy(1, 1), &[1, 2, 3], &["q3"]);
}

#[test]
fn what_no_ref_leads_to_leaves_by_its_age_alone() {
    // 3 and 4 were rolled back.
    let table = table(&FOUR_DAYS, json!({"main": branch(2)}), json!({}));
    check(&table, &policy(9, 12), &[3], &[]);
}

#[test]
fn what_the_checkpoint_is_found_by_stays() {
    let main = json!({"main": branch(4)});
    // Our commit lies below two of others.
    let snapshots = [(1, None, 72, OURS), (2, Some(1), 48, OURS), (3, Some(2), 24, FOREIGN), (4, Some(3), 0, FOREIGN)];
    check(&table(&snapshots, main.clone(), witness(2)), &policy(1, 1), &[1], &[]);
    // It has been taken by others: the property ties it to the oldest snapshot.
    let snapshots = [(3, Some(2), 24, FOREIGN), (4, Some(3), 0, FOREIGN)];
    check(&table(&snapshots, main.clone(), witness(2)), &policy(1, 1), &[], &[]);
    // It is the head's own.
    let snapshots = [(1, None, 72, OURS), (2, Some(1), 48, OURS), (3, Some(2), 24, OURS), (4, Some(3), 0, OURS)];
    check(&table(&snapshots, main, witness(4)), &policy(1, 1), &[1, 2, 3], &[]);
}

#[test]
fn a_table_that_was_rolled_back_waits_for_a_person() {
    let snapshots = [(1, None, 72, OURS), (2, Some(1), 48, OURS)];
    let table = table(&snapshots, json!({"main": branch(1)}), witness(2));
    assert_eq!(plan(&table, &policy(1, 1), NOW_MS).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn one_commit_takes_the_oldest_of_very_many() {
    let last = SNAPSHOTS_MAX as i64 + 5;
    let snapshots: Vec<_> = (1..=last).map(|id| (id, (id > 1).then(|| id - 1), 99, FOREIGN)).collect();
    let plan = plan(&table(&snapshots, json!({"main": branch(last)}), json!({})), &policy(1, 1), NOW_MS).unwrap();
    assert_eq!(plan.snapshot_ids, (1..=SNAPSHOTS_MAX as i64).collect::<Vec<_>>());
}
