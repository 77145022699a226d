//! What a log line tells of.

use super::Code;

pub const CODES: &[Code] = &[
    (
        "DYN801",
        "A log line: a run of the pipeline failed, and it is started again by itself.",
        "What `error` says, where it comes again and again; dynaberg status",
    ),
    (
        "DYN802",
        "A log line: the pipeline waits for something that it names and that is not there.",
        "What `reason` says; it looks again by itself.",
    ),
    (
        "DYN803",
        "A log line: the pipeline stopped, and a person has to see to it.",
        "What `error` says, then start it again.",
    ),
    (
        "DYN804",
        "A log line: held letters were tried again in vain, and are not tried by themselves any more.",
        "dynaberg dlq list, then a transform that takes them, and dynaberg dlq redrive",
    ),
    (
        "DYN805",
        "A log line: the stream dropped records before they were read.",
        "A new target table, filled from the source table; an alarm on dynaberg_retention_headroom_seconds.",
    ),
    (
        "DYN806",
        "A log line: compaction, expiry or the sweep of a table failed; it is tried again in the next round.",
        "What `error` says; dynaberg maintain TABLE --plan",
    ),
    (
        "DYN807",
        "A log line: a pipeline stopped, so the service manager is not told any more that all is well.",
        "journalctl -u dynaberg; the unit restarts it.",
    ),
];
