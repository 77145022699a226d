use super::*;

fn position(shard: &str, digits: &str) -> Position {
    Position { shard: ShardId::new(shard), sequence_number: SequenceNumber::parse(digits).unwrap(), part: 0 }
}

#[test]
fn a_checkpoint_covers_what_it_advanced_over_and_nothing_else() {
    let mut checkpoint = Checkpoint::of("stream");
    checkpoint.advance(&position("a", "10"));
    assert!(checkpoint.covers(&position("a", "9")));
    assert!(checkpoint.covers(&position("a", "10")));
    assert!(!checkpoint.covers(&position("a", "11")));
    assert!(!checkpoint.covers(&position("b", "1")));
}

#[test]
fn an_ended_shard_is_covered_whole() {
    let mut checkpoint = Checkpoint::of("stream");
    checkpoint.end(&ShardId::new("a"));
    assert!(checkpoint.covers(&position("a", "99999")));
}

#[test]
fn the_stored_text_is_pinned_and_reads_back() {
    let mut checkpoint = Checkpoint::of("arn:stream");
    checkpoint.advance(&position("b", "12"));
    checkpoint.begin(&ShardId::new("c"));
    checkpoint.end(&ShardId::new("a"));
    checkpoint.record_gap(Gap { shard: "a".into(), after: Some("3".into()) });
    let text = checkpoint.to_text();
    assert_eq!(
        text,
        r#"{"incarnation":"arn:stream","shards":{"a":"END","b":"12","c":"0"},"gaps":[{"shard":"a","after":"3"}]}"#
    );
    assert_eq!(Checkpoint::from_text(&text).unwrap(), checkpoint);
}

#[test]
fn a_transform_is_in_force_from_the_position_at_which_it_came() {
    let mut checkpoint = Checkpoint::of("stream");
    checkpoint.advance(&position("a", "10"));
    checkpoint.adopt_transform(Some("7f3a"));
    checkpoint.advance(&position("a", "20"));
    checkpoint.adopt_transform(Some("7f3a"));
    let text = checkpoint.to_text();
    assert_eq!(text, r#"{"incarnation":"stream","shards":{"a":"20"},"transform":{"id":"7f3a","after":{"a":"10"}}}"#);
    assert_eq!(Checkpoint::from_text(&text).unwrap(), checkpoint);
    checkpoint.adopt_transform(None);
    assert_eq!(checkpoint.transform(), None);
}
