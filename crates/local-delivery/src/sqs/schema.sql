CREATE TABLE queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    purged_at INTEGER,
    UNIQUE (account, region, name)
) STRICT;

-- All times are milliseconds since the Unix epoch.
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL REFERENCES queue (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,
    trace_header TEXT,
    sender TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    -- From when on it is kept for the queue's retention period.
    kept_from INTEGER NOT NULL,
    -- When it can be received, or received again.
    visible_at INTEGER NOT NULL,
    received_at INTEGER,
    first_received_at INTEGER,
    receive_count INTEGER NOT NULL DEFAULT 0,
    -- The token of the last receive's handle.
    receipt TEXT,
    -- Whether it was received and not given back: with `visible_at` in the future it is in flight, else delayed.
    is_received INTEGER NOT NULL DEFAULT 0,
    group_id TEXT,
    deduplication_id TEXT,
    -- The queue that it was a dead letter of.
    dead_letter_source TEXT
) STRICT;
CREATE INDEX message_visible ON message (queue, visible_at, number);
CREATE INDEX message_kept ON message (queue, kept_from);
CREATE INDEX message_in_order ON message (queue, number, group_id, visible_at) WHERE deduplication_id IS NOT NULL;
CREATE INDEX message_received ON message (queue, visible_at, group_id) WHERE is_received;

CREATE TABLE deduplication (
    queue INTEGER NOT NULL REFERENCES queue (number) ON DELETE CASCADE,
    -- A message group, or nothing where the whole queue is the scope.
    scope TEXT NOT NULL,
    deduplication_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    -- The message of then.
    message_number INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (queue, scope, deduplication_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deduplication_age ON deduplication (queue, sent_at);

CREATE TABLE receive_attempt (
    queue INTEGER NOT NULL REFERENCES queue (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    -- The receipt handles that it gave.
    handles TEXT NOT NULL,
    PRIMARY KEY (queue, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE move_task (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    source INTEGER NOT NULL REFERENCES queue (number) ON DELETE CASCADE,
    source_arn TEXT NOT NULL,
    destination_arn TEXT,
    messages_per_second INTEGER,
    status TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    to_move INTEGER NOT NULL,
    moved INTEGER NOT NULL DEFAULT 0,
    -- The last message that there was when it started.
    last_message INTEGER NOT NULL,
    failure_reason TEXT
) STRICT;
CREATE INDEX move_task_of_queue ON move_task (source, number);
