use std::collections::HashMap;

use serde_json::Value;

use crate::dataset::{Dataset, Expected, write};

fn records(dataset: Dataset, events: u64, seed: u64) -> (Vec<Value>, Expected, String) {
    let name = format!("dynaberg-dataset-{}-{dataset:?}-{events}-{seed}.jsonl", std::process::id());
    let path = std::env::temp_dir().join(name);
    let expected = write(dataset, events, seed, &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    (text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), expected, text)
}

#[test]
fn a_seed_gives_one_file_and_another_seed_another() {
    let text = |seed| records(Dataset::B, 300, seed).2;
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn old_images_are_what_was_written_before_and_the_expected_state_is_what_is_left() {
    let (records, expected, text) = records(Dataset::B, 5_000, 7);
    let mut table: HashMap<String, Value> = HashMap::new();
    let mut counts = HashMap::new();
    for record in &records {
        let change = &record["dynamodb"];
        let key = change["Keys"].to_string();
        let old = change.get("OldImage");
        assert_eq!(table.get(&key), old, "{key}");
        match change.get("NewImage") {
            Some(new) => table.insert(key, new.clone()),
            None => table.remove(&key),
        };
        *counts.entry(record["eventName"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(expected.rows, table.len() as u64);
    let cents = |item: &Value| (item["amount"]["N"].as_str().unwrap().parse::<f64>().unwrap() * 100.0).round() as u64;
    assert_eq!(expected.amount_cents, table.values().map(cents).sum::<u64>());
    assert!((3_300..3_700).contains(&counts["INSERT"]), "{counts:?}");
    assert!((1_100..1_400).contains(&counts["MODIFY"]), "{counts:?}");
    assert!((180..330).contains(&counts["REMOVE"]), "{counts:?}");
    assert!(text.lines().all(|line| line.len() > 1_150));
}

#[test]
fn a_table_as_csv_is_compared_with_what_was_written() {
    let (_, expected, _) = records(Dataset::A, 3, 7);
    let item = |number| {
        let mut line = String::new();
        super::item::Item::of(7, number, 0).write_csv(&mut line);
        line
    };
    let csv = format!("header\n{}\n{}\n{}\n", item(2), item(0), item(1));
    assert_eq!(Expected::of_csv(csv.as_bytes()).unwrap(), expected);
    let other = csv.replacen("TXN_", "TXN-", 1);
    assert_ne!(Expected::of_csv(other.as_bytes()).unwrap(), expected);
}
