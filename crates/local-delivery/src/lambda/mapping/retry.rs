//! What becomes of a batch that a function failed on. A pure decision; `delivery` carries it out.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::ops::Range;

/// How a mapping treats failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// `None` is for ever.
    pub retries_max: Option<u32>,
    pub bisects: bool,
}

/// Records of a batch that are to be handed over together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub records: Range<usize>,
    /// How often these records alone were tried. Parting a batch starts anew.
    pub failures: u32,
    /// How often the function saw the first of them.
    pub invocations: u32,
}

/// What comes next, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Once more, after a pause.
    Again(Part),
    /// Both halves, the first one first.
    Halves(Part, Part),
    /// Nothing: on to the on-failure destination.
    GiveUp(Part),
}

impl Part {
    pub(crate) fn new(records: Range<usize>) -> Self {
        Self { records, failures: 0, invocations: 0 }
    }
}

/// Decides about `part`, which was invoked with, and of which the record at `first_failed` is the first one that
/// failed.
pub(crate) fn after_failure(policy: RetryPolicy, part: &Part, first_failed: usize) -> Next {
    let records = first_failed..part.records.end;
    let invocations = part.invocations + 1;
    let made_progress = first_failed > part.records.start;
    if made_progress {
        // The function said where it stopped, so the batch is parted there: what is left is a batch of its own.
        let rest = Part { records, failures: 1, invocations };
        return if policy.retries_max == Some(0) { Next::GiveUp(rest) } else { Next::Again(rest) };
    }
    if policy.bisects && records.len() > 1 {
        let middle = records.start + records.len() / 2;
        let half = |records| Part { records, failures: 0, invocations };
        return Next::Halves(half(records.start..middle), half(middle..records.end));
    }
    let failures = part.failures + 1;
    let rest = Part { records, failures, invocations };
    match policy.retries_max {
        Some(max) if failures > max => Next::GiveUp(rest),
        _ => Next::Again(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(records: Range<usize>, failures: u32, invocations: u32) -> Part {
        Part { records, failures, invocations }
    }

    #[test]
    fn a_batch_is_tried_again_as_often_as_allowed_and_then_given_up_whole() {
        let policy = RetryPolicy { retries_max: Some(1), bisects: false };
        let first = after_failure(policy, &Part::new(0..4), 0);
        assert_eq!(first, Next::Again(part(0..4, 1, 1)));
        assert_eq!(after_failure(policy, &part(0..4, 1, 1), 0), Next::GiveUp(part(0..4, 2, 2)));
        let for_ever = RetryPolicy { retries_max: None, bisects: false };
        assert_eq!(after_failure(for_ever, &part(0..4, 99, 99), 0), Next::Again(part(0..4, 100, 100)));
    }

    #[test]
    fn bisecting_uses_no_retries() {
        let policy = RetryPolicy { retries_max: Some(0), bisects: true };
        let halves = after_failure(policy, &Part::new(0..3), 0);
        assert_eq!(halves, Next::Halves(part(0..1, 0, 1), part(1..3, 0, 1)));
        assert_eq!(after_failure(policy, &part(0..1, 0, 1), 0), Next::GiveUp(part(0..1, 1, 2)));
    }

    #[test]
    fn a_batch_goes_on_where_the_function_stopped() {
        let policy = RetryPolicy { retries_max: Some(1), bisects: true };
        assert_eq!(after_failure(policy, &Part::new(0..10), 6), Next::Again(part(6..10, 1, 1)));
        let strict = RetryPolicy { retries_max: Some(0), bisects: false };
        assert_eq!(after_failure(strict, &Part::new(0..10), 6), Next::GiveUp(part(6..10, 1, 1)));
    }

    #[test]
    fn every_record_is_settled_once_however_functions_fail() {
        for bisects in [false, true] {
            for bad in 0..7 {
                let policy = RetryPolicy { retries_max: Some(2), bisects };
                let (mut parts, mut done, mut given_up) = (vec![Part::new(0..7)], Vec::new(), Vec::new());
                while let Some(part) = parts.pop() {
                    if !part.records.contains(&bad) {
                        done.extend(part.records);
                        continue;
                    }
                    match after_failure(policy, &part, part.records.start) {
                        Next::Again(part) => parts.push(part),
                        Next::Halves(first, second) => parts.extend([second, first]),
                        Next::GiveUp(part) => given_up.extend(part.records),
                    }
                }
                let expected = if bisects { vec![bad] } else { (0..7).collect() };
                assert_eq!(given_up, expected);
                done.extend(given_up);
                done.sort_unstable();
                assert_eq!(done, (0..7).collect::<Vec<_>>());
            }
        }
    }
}
