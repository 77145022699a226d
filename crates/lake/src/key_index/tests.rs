use std::collections::HashMap;

use iceberg::spec::{Literal, Struct};
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::{IndexUpdate, IndexedFile, KeyIndex, RowPlace};
use crate::error::ErrorKind;

const TABLE: Uuid = Uuid::from_u128(7);

fn file(name: &str) -> IndexedFile {
    let partition = Struct::from_iter([Some(Literal::string(name)), None, Some(Literal::date(-3))]);
    IndexedFile { path: format!("s3://bucket/{name}"), spec_id: 2, partition }
}

fn upsert(name: &str, keys: &[u128], marker: i64) -> IndexUpdate {
    let upserts = keys.iter().zip(0..).map(|(key, row)| (*key, (0, row))).collect();
    IndexUpdate { new_files: vec![file(name)], upserts, deletes: Vec::new(), marker }
}

/// Declares an empty index to mirror an empty table.
fn open_filled(dir: &TempDir) -> KeyIndex {
    let mut index = KeyIndex::open(dir.path(), TABLE).unwrap();
    if index.marker().is_none() {
        index.clear().unwrap();
        index.seal(0).unwrap();
    }
    index
}

/// The beginning of a change that never ends.
fn begin_change(index: &mut KeyIndex, name: &str, keys: &[u128]) {
    let file = index.add_files(vec![file(name)]).unwrap()[0];
    index.put(&keys.iter().map(|key| (*key, RowPlace { file, row: 0 })).collect::<Vec<_>>()).unwrap();
}

fn spread(key: u64) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&key.to_le_bytes())
}

fn place_of(index: &KeyIndex, key: u128) -> Option<(String, u64)> {
    index.locate(&[key])[0].map(|RowPlace { file, row }| (index.file(file).path.clone(), row))
}

#[test]
fn a_clean_index_opens_with_its_marker_its_keys_and_its_files() {
    let dir = TempDir::new().unwrap();
    let mut index = open_filled(&dir);
    index.apply(upsert("a", &[spread(1), spread(2)], 41)).unwrap();
    index.set_marker(42).unwrap();
    drop(index);

    let index = KeyIndex::open(dir.path(), TABLE).unwrap();
    assert_eq!((index.marker(), index.len()), (Some(42), 2));
    let found = index.locate(&[spread(3), spread(2)]);
    assert_eq!(found[0], None);
    let place = found[1].unwrap();
    assert_eq!((place.row, index.file(place.file)), (1, &file("a")));
}

#[test]
fn an_index_that_was_killed_while_changing_opens_as_empty() {
    let dir = TempDir::new().unwrap();
    let mut index = open_filled(&dir);
    index.apply(upsert("a", &[spread(1)], 41)).unwrap();
    begin_change(&mut index, "b", &[spread(1)]);
    assert_eq!(index.marker(), None);
    assert_eq!(index.set_marker(42).unwrap_err().kind(), ErrorKind::Unexpected);
    drop(index);

    let index = KeyIndex::open(dir.path(), TABLE).unwrap();
    assert_eq!((index.marker(), index.len()), (None, 0));
}

#[test]
fn an_index_of_another_table_opens_as_empty() {
    let dir = TempDir::new().unwrap();
    open_filled(&dir).apply(upsert("a", &[spread(1)], 41)).unwrap();
    let index = KeyIndex::open(dir.path(), Uuid::from_u128(8)).unwrap();
    assert_eq!((index.marker(), index.len()), (None, 0));
}

fn overwrite_at(dir: &TempDir, name: &str, at: usize, bytes: &[u8]) {
    let path = dir.path().join(name);
    let mut content = std::fs::read(&path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, content).unwrap();
}

fn truncate(dir: &TempDir, name: &str, length: u64) {
    std::fs::File::options().write(true).open(dir.path().join(name)).unwrap().set_len(length).unwrap();
}

#[test]
fn a_damaged_index_opens_as_empty() {
    type Damage = fn(&TempDir);
    let damages: [(&str, Damage); 6] = [
        ("another version", |dir| overwrite_at(dir, "slots", 8, &99_u32.to_le_bytes())),
        ("a header bit", |dir| overwrite_at(dir, "slots", 30, &[0xff])),
        ("a slot of no file", |dir| overwrite_at(dir, "slots", 4096 + 16, &[9, 9, 9, 9])),
        ("a short slot file", |dir| truncate(dir, "slots", 5000)),
        ("a short file list", |dir| truncate(dir, "files", 10)),
        ("a changed file list", |dir| overwrite_at(dir, "files", 20, &[0xff])),
    ];
    for (name, damage) in damages {
        let dir = TempDir::new().unwrap();
        open_filled(&dir).apply(upsert("a", &[spread(1)], 41)).unwrap();
        damage(&dir);
        let index = KeyIndex::open(dir.path(), TABLE).unwrap();
        assert_eq!((index.marker(), index.len()), (None, 0), "{name}");
    }
}

#[test]
fn two_owners_do_not_share_an_index() {
    let dir = TempDir::new().unwrap();
    let _index = open_filled(&dir);
    let refused = KeyIndex::open(dir.path(), TABLE).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Transient);
}

#[test]
fn files_without_live_rows_are_forgotten() {
    let dir = TempDir::new().unwrap();
    let mut index = open_filled(&dir);
    for commit in 0..20_000 {
        index.apply(upsert(&format!("{commit:0200}"), &[spread(1), spread(2)], commit)).unwrap();
    }
    assert!(std::fs::metadata(dir.path().join("files")).unwrap().len() < 2 << 20);
    assert_eq!(place_of(&index, spread(2)), Some((format!("s3://bucket/{:0200}", 19_999), 1)));
    drop(index);
    let index = KeyIndex::open(dir.path(), TABLE).unwrap();
    assert_eq!(place_of(&index, spread(2)), Some((format!("s3://bucket/{:0200}", 19_999), 1)));
}

#[derive(Clone, Debug)]
enum Step {
    /// Keys to upsert, keys to delete.
    Commit(Vec<u16>, Vec<u16>),
    Reopen,
    /// Dies in the middle of a change, opens again and rebuilds.
    Kill(Vec<u16>),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0_u16..2000, 0..1000);
    prop_oneof![
        6 => (keys(), keys()).prop_map(|(upserts, deletes)| Step::Commit(upserts, deletes)),
        1 => Just(Step::Reopen),
        1 => keys().prop_map(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_agrees_with_a_map(
        steps in prop::collection::vec(step(), 1..12),
        // Crowded hashes collide and wrap around the end of the table.
        crowded in any::<bool>(),
    ) {
        let hash = |key: u16| if crowded { u128::MAX - (u128::from(key) << 115) } else { spread(u64::from(key)) };
        let dir = TempDir::new().unwrap();
        let mut index = open_filled(&dir);
        let mut model: HashMap<u128, (String, u64)> = HashMap::new();
        for (step, number) in steps.into_iter().zip(1_i64..) {
            match step {
                Step::Commit(upserts, deletes) => {
                    let mut upserts: Vec<u128> = upserts.into_iter().map(hash).collect();
                    upserts.sort_unstable();
                    upserts.dedup();
                    let deletes = deletes.into_iter().map(hash).filter(|key| upserts.binary_search(key).is_err());
                    let name = number.to_string();
                    let mut update = upsert(&name, &upserts, number);
                    update.deletes = deletes.collect();
                    for key in &update.deletes {
                        model.remove(key);
                    }
                    for (key, (_, row)) in &update.upserts {
                        model.insert(*key, (file(&name).path, *row));
                    }
                    index.apply(update).unwrap();
                }
                Step::Reopen => {
                    let marker = index.marker();
                    drop(index);
                    index = KeyIndex::open(dir.path(), TABLE).unwrap();
                    prop_assert_eq!(index.marker(), marker);
                }
                Step::Kill(keys) => {
                    begin_change(&mut index, "lost", &keys.into_iter().map(hash).collect::<Vec<_>>());
                    drop(index);
                    index = KeyIndex::open(dir.path(), TABLE).unwrap();
                    prop_assert_eq!(index.marker(), None);
                    prop_assert_eq!(index.len(), 0);
                    index.clear().unwrap();
                    for (key, (path, row)) in &model {
                        let file = index.add_files(vec![file(path.rsplit('/').next().unwrap())]).unwrap()[0];
                        index.put(&[(*key, RowPlace { file, row: *row })]).unwrap();
                    }
                    index.seal(number).unwrap();
                }
            }
            prop_assert_eq!(index.len(), model.len() as u64);
        }
        let keys: Vec<u128> = (0..2100).map(hash).collect();
        for (key, place) in keys.iter().zip(index.locate(&keys)) {
            let found = place.map(|place| (index.file(place.file).path.clone(), place.row));
            prop_assert_eq!(found.as_ref(), model.get(key));
        }
    }
}
