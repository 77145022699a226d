CREATE TABLE metric (
    number INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    dimensions TEXT NOT NULL,
    UNIQUE (region, namespace, name, dimensions)
) STRICT;
CREATE TABLE datum (
    metric INTEGER NOT NULL REFERENCES metric (number),
    time_ms INTEGER NOT NULL,
    count REAL NOT NULL,
    sum REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    unit TEXT NOT NULL
) STRICT;
CREATE INDEX datum_of_metric ON datum (metric, time_ms);
CREATE INDEX datum_by_time ON datum (time_ms);
CREATE TABLE alarm (
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE alarm_history (
    number INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    alarm TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX history_of_alarm ON alarm_history (region, alarm, number);
CREATE TABLE log_group (
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER,
    tags TEXT NOT NULL,
    PRIMARY KEY (region, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_stream (
    number INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    log_group TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (region, log_group, name)
) STRICT;
CREATE TABLE log_event (
    number INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES log_stream (number) ON DELETE CASCADE,
    time_ms INTEGER NOT NULL,
    ingested_ms INTEGER NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_stream ON log_event (stream, time_ms);
