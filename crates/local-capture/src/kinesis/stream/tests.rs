use super::*;

const NOW_MS: i64 = 1_795_331_536_123;

fn stream(shards: u32) -> Stream {
    Stream::new(7, "s".to_owned(), StreamMode::Provisioned, shards, NOW_MS)
}

/// Open ranges cover every key once, and lineage holds.
fn check(stream: &Stream) {
    let mut next = Some(0);
    for shard in stream.open_shards() {
        assert_eq!(Some(shard.hash_start), next);
        next = shard.hash_end.checked_add(1);
    }
    assert_eq!(next, None, "the last range ends with the last key");
    for shard in stream.shards.values() {
        for parent in [shard.parent, shard.adjacent_parent].into_iter().flatten() {
            let parent = stream.shards[&parent];
            assert!(parent.closed.is_some_and(|closed| closed.ending < shard.starting));
        }
    }
}

#[test]
fn ranges_of_a_new_stream_cover_all_hash_keys() {
    for count in [1, 2, 3, 4, 7, 1_000] {
        let stream = stream(count);
        check(&stream);
        assert_eq!(stream.open_shard_count(), count as usize);
    }
    assert_eq!(stream(2).shards[&1].hash_start, 1 << 127);
    assert_eq!(stream(1).shards[&0].hash_end, u128::MAX);
}

#[test]
fn a_split_and_a_merge_keep_ranges_and_lineage() {
    let mut stream = stream(2);
    stream.split(NOW_MS, 0, 1 << 100);
    check(&stream);
    assert_eq!(stream.children(0).map(|shard| shard.index).collect::<Vec<_>>(), [2, 3]);
    stream.merge(NOW_MS, 3, 1);
    check(&stream);
    let merged = stream.shards[&4];
    assert_eq!((merged.parent, merged.adjacent_parent), (Some(3), Some(1)));
    assert_eq!(stream.route(0), Some(2));
    assert_eq!(stream.route(u128::MAX), Some(4));
}

#[test]
fn scaling_gives_equal_ranges_from_any_count_to_any_other() {
    for (from, to) in [(1, 2), (2, 3), (3, 2), (4, 7), (7, 4), (5, 5), (1_000, 501)] {
        let mut stream = stream(from);
        stream.scale(NOW_MS, to);
        check(&stream);
        let ranges: Vec<_> = stream.open_shards().map(|shard| (shard.hash_start, shard.hash_end)).collect();
        assert_eq!(ranges, equal_ranges(to), "from {from} to {to}");
    }
}

#[test]
fn numbers_never_go_back_even_if_the_clock_does() {
    let mut stream = stream(1);
    let first = stream.take_sequence(NOW_MS + 10);
    assert!(stream.take_sequence(NOW_MS) > first);
}

#[test]
fn a_shard_is_named_by_its_id_or_its_number() {
    assert_eq!(shard_index("shardId-000000000042"), Some(42));
    assert_eq!(shard_index("shardId-42"), Some(42));
    assert_eq!(shard_index("42"), Some(42));
    assert_eq!(shard_index("shard-42"), None);
    assert_eq!(shard_index(""), None);
}
