use bytes::Bytes;

use super::*;
use crate::change::{Position, SequenceNumber, ShardId};

fn order(mode: Mode) -> Order {
    Order::new(OrderOptions {
        table: Some("t".to_owned()),
        mode,
        source_is_ordered: false,
        streams: Arc::new(|_| None),
        ambient: Ambient::fixed(0),
    })
}

/// `id@time:old>new`, a letter for each image and `-` for none.
fn record(at: usize, text: &str) -> RawRecord {
    let (id, rest) = text.split_once('@').unwrap();
    let (time, images) = rest.split_once(':').unwrap();
    let (old, new) = images.split_once('>').unwrap();
    let image = |name: &str, value: &str| match value {
        "-" => String::new(),
        value => format!(r#","{name}":{{"id":{{"S":"{id}"}},"v":{{"S":"{value}"}}}}"#),
    };
    let event = match (old, new) {
        ("-", _) => "INSERT",
        (_, "-") => "REMOVE",
        _ => "MODIFY",
    };
    let json = format!(
        r#"{{"eventName":"{event}","eventID":"{text}","tableName":"t","dynamodb":{{"ApproximateCreationDateTime":{time},
        "ApproximateCreationDateTimePrecision":"MICROSECOND","Keys":{{"id":{{"S":"{id}"}}}}{}{}}}}}"#,
        image("OldImage", old),
        image("NewImage", new)
    );
    let sequence_number = SequenceNumber::parse(&(at + 1).to_string()).unwrap();
    RawRecord { position: Position { shard: ShardId::new("s"), sequence_number, part: 0 }, json: Bytes::from(json) }
}

/// Which of `texts` are let through, by number.
fn admitted(order: &mut Order, texts: &[&str]) -> Vec<String> {
    let records: Vec<RawRecord> = texts.iter().enumerate().map(|(at, text)| record(at, text)).collect();
    let ordered = order.admit(&records);
    let admitted = ordered.admitted.unwrap_or_else(|| records.clone());
    assert_eq!(records.len(), admitted.len() + ordered.superseded + ordered.filtered);
    admitted.iter().map(|record| record.position.sequence_number.to_string()).collect()
}

#[test]
fn a_mirror_takes_only_what_is_newer_of_an_item() {
    let texts = ["a@1:->x", "a@3:y>z", "a@2:x>y", "b@2:->x", "a@3:y>z", "a@4:z>-", "a@1:->x"];
    assert_eq!(admitted(&mut order(Mode::Mirror), &texts), ["1", "2", "4", "6"]);
}

#[test]
fn a_changelog_takes_every_change_once_in_whatever_order() {
    let texts = ["a@1:->x", "a@3:y>z", "a@2:x>y", "a@3:y>z", "a@1:->x"];
    assert_eq!(admitted(&mut order(Mode::Changelog), &texts), ["1", "2", "3"]);
}

#[test]
fn of_two_changes_at_one_time_the_images_tell_the_later_one() {
    assert_eq!(admitted(&mut order(Mode::Mirror), &["a@1:->x", "a@1:x>y"]), ["1", "2"]);
    assert_eq!(admitted(&mut order(Mode::Mirror), &["a@1:x>y", "a@1:->x"]), ["1"]);
}

#[test]
fn records_of_other_tables_are_passed_over_and_what_is_no_change_is_let_through() {
    let mut other = record(0, "a@1:->x");
    other.json = Bytes::from(String::from_utf8(other.json.to_vec()).unwrap().replace(r#""t""#, r#""other""#));
    let mut strange = record(1, "a@1:->x");
    strange.json = Bytes::from_static(b"not a change");
    let ordered = order(Mode::Mirror).admit(&[other, strange.clone()]);
    assert_eq!((ordered.filtered, ordered.superseded), (1, 0));
    assert_eq!(ordered.admitted.unwrap(), [strange]);
}

fn origin(order: &mut Order, text: &str) -> Origin {
    match order.reader.read(&record(0, text).json, None) {
        Reading::Change(origin) => origin,
        Reading::OtherTable | Reading::NoChange => panic!("{text} is a change"),
    }
}

#[test]
fn what_the_stream_before_has_given_is_held_back_once() {
    for mode in [Mode::Mirror, Mode::Changelog] {
        let mut order = order(mode);
        let mut foreign = Foreign { from_us: 5_000_000, ..Foreign::default() };
        for text in ["a@6000000:->x", "a@7000000:x>y"] {
            let origin = origin(&mut order, text);
            foreign.add(&origin);
        }
        order.foreign = Some(foreign);
        let texts = ["a@4000000:->w", "a@6000001:->x", "a@7000001:x>y", "a@8000000:y>x", "b@6000000:->x"];
        assert_eq!(admitted(&mut order, &texts), ["4", "5"], "{mode:?}");
    }
}

#[test]
fn a_change_that_the_stream_before_has_repeated_holds_back_no_other_like_it() {
    let mut order = order(Mode::Changelog);
    let mut foreign = Foreign { from_us: 5_000_000, ..Foreign::default() };
    for text in ["a@6000000:x>-", "a@6000000:x>-"] {
        let origin = origin(&mut order, text);
        foreign.add(&origin);
    }
    order.foreign = Some(foreign);
    assert_eq!(admitted(&mut order, &["a@6000001:x>-", "a@7000000:->x", "a@8000000:x>-"]), ["2", "3"]);
}

#[test]
fn a_change_from_before_the_handover_takes_the_place_of_no_later_one_like_it() {
    let mut order = order(Mode::Changelog);
    let mut foreign = Foreign { from_us: 50_000_000, ..Foreign::default() };
    // The table is complete far beyond that moment.
    for text in ["a@50000000:x>-", "a@54000000:x>-", "a@58000000:x>-", "a@70000000:x>-"] {
        let origin = origin(&mut order, text);
        foreign.add(&origin);
    }
    order.foreign = Some(foreign);
    let again = ["a@48000001:x>-", "a@50000001:x>-", "a@54000001:x>-", "a@58000001:x>-", "a@70000001:x>-"];
    assert_eq!(admitted(&mut order, &again), [] as [&str; 0]);
    assert_eq!(admitted(&mut order, &["a@74000000:x>-"]), ["1"], "and none of them is left to hold back a new one");
}

#[test]
fn of_changes_that_are_alike_the_nearest_is_the_same() {
    let mut order = order(Mode::Changelog);
    let mut foreign = Foreign { from_us: 5_000_000, ..Foreign::default() };
    for text in ["a@20000000:x>-", "a@25000000:x>-", "a@30000000:x>-"] {
        let origin = origin(&mut order, text);
        foreign.add(&origin);
    }
    order.foreign = Some(foreign);
    assert_eq!(admitted(&mut order, &["a@30000001:x>-", "a@25000001:x>-", "a@20000001:x>-"]), [] as [&str; 0]);
}
