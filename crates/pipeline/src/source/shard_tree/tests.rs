use super::*;
use crate::change::Position;

fn id(name: &str) -> ShardId {
    ShardId::new(name)
}

/// `parent>child`, `root`; a trailing `.` means closed.
fn listing(text: &str) -> Vec<ListedShard> {
    let shards = text.split_whitespace().map(|word| {
        let name = word.trim_end_matches('.');
        let (parent, name) = name.split_once('>').map_or((None, name), |(parent, name)| (Some(id(parent)), name));
        ListedShard { id: id(name), parents: parent.into_iter().collect(), is_closed: word.ends_with('.') }
    });
    shards.collect()
}

fn resumed(checkpoint: &str) -> ShardTree {
    let text = format!(r#"{{"incarnation":"stream","shards":{checkpoint}}}"#);
    ShardTree::resume(&Checkpoint::from_text(&text).unwrap(), StartPosition::TrimHorizon)
}

fn first(start: StartPosition) -> ShardTree {
    ShardTree::resume(&Checkpoint::default(), start)
}

fn names(shards: &[ShardId]) -> String {
    shards.iter().map(ShardId::as_str).collect::<Vec<_>>().join(" ")
}

fn gaps(discovery: &Discovery) -> String {
    let gaps = discovery.gaps.iter().map(|gap| format!("{}@{}", gap.shard, gap.after.as_deref().unwrap_or("-")));
    gaps.collect::<Vec<_>>().join(" ")
}

fn record(shard: &str, digits: &str) -> RawRecord {
    let sequence_number = SequenceNumber::parse(digits).unwrap();
    RawRecord { position: Position { shard: id(shard), sequence_number, part: 0 }, json: bytes::Bytes::new() }
}

#[test]
fn a_child_is_opened_only_when_every_listed_ancestor_is_ended() {
    let mut tree = first(StartPosition::TrimHorizon);
    assert_eq!(names(&tree.list(listing("a. a>b. b>c x")).opened), "a x");
    assert_eq!(names(&tree.end(&id("a")).opened), "b");
    assert_eq!(names(&tree.end(&id("b")).opened), "c");
    assert_eq!(tree.position(&id("c")), Some(&Start::TrimHorizon));
}

#[test]
fn a_closed_parent_that_was_not_read_holds_its_children_back() {
    let mut tree = resumed(r#"{"a":"7"}"#);
    assert_eq!(names(&tree.list(listing("a. a>b")).opened), "");
    assert!(!tree.is_all_open());
}

#[test]
fn shards_of_the_checkpoint_are_read_before_any_listing() {
    let tree = resumed(r#"{"a":"END","b":"5","c":"0"}"#);
    assert_eq!(names(&tree.reading().cloned().collect::<Vec<_>>()), "b c");
    assert_eq!(tree.position(&id("b")), Some(&Start::After(SequenceNumber::parse("5").unwrap())));
    assert_eq!(tree.position(&id("c")), Some(&Start::TrimHorizon));
}

#[test]
fn a_hole_in_one_listing_is_waited_for() {
    let mut tree = resumed(r#"{"a":"7"}"#);
    assert_eq!(tree.list(listing("p>c")), Discovery::default());
    assert!(tree.wants_listing());
    let discovery = tree.list(listing("a. a>p. p>c"));
    assert_eq!((names(&discovery.opened), gaps(&discovery)), (String::new(), String::new()));
}

#[test]
fn a_trimmed_parent_that_was_not_read_to_its_end_leaves_a_gap() {
    let mut tree = resumed(r#"{"a":"7"}"#);
    tree.list(listing("a>b"));
    let discovery = tree.list(listing("a>b"));
    assert_eq!(gaps(&discovery), "a@7");
    assert_eq!(
        (names(&discovery.ended), names(&discovery.forgotten), names(&discovery.opened)),
        ("a".into(), "a".into(), "b".into())
    );
    assert!(tree.is_all_open());
}

#[test]
fn a_parent_that_came_and_went_unseen_leaves_a_gap() {
    let mut tree = resumed(r#"{"a":"END"}"#);
    tree.list(listing("b>c"));
    let discovery = tree.list(listing("b>c"));
    assert_eq!((gaps(&discovery), names(&discovery.opened)), ("b@-".into(), "c".into()));
}

#[test]
fn a_child_as_old_as_its_trimmed_parent_leaves_a_gap() {
    let mut tree = resumed(r#"{"a":"END"}"#);
    tree.list(listing("a>b"));
    let discovery = tree.list(listing("a>b"));
    assert_eq!((gaps(&discovery), names(&discovery.opened)), ("b@-".into(), "b".into()));
}

#[test]
fn what_was_trimmed_before_the_first_start_is_no_gap() {
    let mut tree = first(StartPosition::TrimHorizon);
    assert_eq!(names(&tree.list(listing("a>b. b>c x")).opened), "x", "a may only be late in the listing");
    let discovery = tree.list(listing("a>b. b>c x"));
    assert_eq!((names(&discovery.opened), gaps(&discovery)), ("b".into(), String::new()));
}

#[test]
fn latest_counts_for_the_first_start_only() {
    let mut tree = first(StartPosition::Latest);
    let discovery = tree.list(listing("z>a. a>b"));
    assert_eq!((names(&discovery.opened), names(&discovery.ended)), ("b".into(), "a".into()));
    assert_eq!(tree.position(&id("b")), Some(&Start::Latest));
    assert!(tree.is_all_open());
    tree.end(&id("b"));
    assert_eq!(names(&tree.list(listing("a. a>b. b>c")).opened), "c");
    assert_eq!(tree.position(&id("c")), Some(&Start::TrimHorizon));
}

#[test]
fn an_ended_shard_is_forgotten_once_it_is_gone_and_its_children_are_open() {
    let mut tree = resumed(r#"{"a":"END","b":"5"}"#);
    assert_eq!(names(&tree.list(listing("a>b")).forgotten), "");
    let discovery = tree.list(listing("a>b"));
    assert_eq!((names(&discovery.forgotten), gaps(&discovery)), ("a".into(), String::new()));
}

#[test]
fn a_closed_shard_without_children_is_asked_for_them_a_few_times() {
    let mut tree = first(StartPosition::TrimHorizon);
    tree.list(listing("a"));
    assert!(tree.is_all_open());
    tree.end(&id("a"));
    for _ in 0..CHILDLESS_LISTINGS_MAX {
        assert!(tree.wants_listing() && !tree.is_all_open());
        tree.list(listing("a."));
    }
    assert!(tree.is_all_open(), "it has no children");
    assert!(tree.is_all_ended());
}

#[test]
fn records_are_taken_once_and_in_order() {
    let mut tree = resumed(r#"{"a":"5"}"#);
    let accepted = tree.accept(&id("a"), ["4", "5", "6", "6", "10"].map(|digits| record("a", digits)).into());
    assert_eq!(accepted, ["6", "10"].map(|digits| record("a", digits)));
    assert_eq!(tree.position(&id("a")), Some(&Start::After(SequenceNumber::parse("10").unwrap())));
}

#[test]
fn a_trimmed_position_is_a_gap_and_reading_goes_on_with_what_is_left() {
    let mut tree = resumed(r#"{"a":"5"}"#);
    assert_eq!(tree.trim(&id("a")), Some(Gap { shard: "a".into(), after: Some("5".into()) }));
    assert_eq!(tree.position(&id("a")), Some(&Start::TrimHorizon));

    let mut tree = first(StartPosition::TrimHorizon);
    tree.list(listing("a"));
    assert_eq!(tree.trim(&id("a")), None, "nothing of it was promised");
}

#[test]
fn a_cycle_in_the_lineage_opens_nothing_and_ends() {
    let mut tree = first(StartPosition::TrimHorizon);
    assert_eq!(names(&tree.list(listing("a>b b>a")).opened), "");
}
