CREATE TABLE delivery_stream (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL,
  region TEXT NOT NULL,
  name TEXT NOT NULL,
  document TEXT NOT NULL,
  tags TEXT NOT NULL,
  -- Every record up to this number is routed, dropped or failed.
  settled INTEGER NOT NULL DEFAULT 0,
  -- How far a source that is read, rather than put to, has been taken in.
  source_checkpoint TEXT,
  received INTEGER NOT NULL DEFAULT 0,
  received_bytes INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, region, name)
);

CREATE TABLE record (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  stream INTEGER NOT NULL REFERENCES delivery_stream ON DELETE CASCADE,
  arrived_at INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX record_of_stream ON record (stream, number);

-- Where records of a delivery stream go: a table, or objects with one set of partition keys.
CREATE TABLE lane (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  stream INTEGER NOT NULL REFERENCES delivery_stream ON DELETE CASCADE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0,
  delivered_bytes INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  UNIQUE (stream, kind, name)
);

CREATE TABLE routed (
  lane INTEGER NOT NULL REFERENCES lane ON DELETE CASCADE,
  record INTEGER NOT NULL REFERENCES record ON DELETE CASCADE,
  operation TEXT NOT NULL,
  -- What a function made of the record, where one did.
  data BLOB,
  -- The object that it is being written in.
  object TEXT,
  PRIMARY KEY (lane, record)
);
CREATE INDEX routed_record ON routed (record);

-- Records of a lane that its destination refused, until the lane has passed over them.
CREATE TABLE refused (
  stream INTEGER NOT NULL REFERENCES delivery_stream ON DELETE CASCADE,
  record INTEGER NOT NULL,
  PRIMARY KEY (stream, record)
);

CREATE TABLE failure (
  stream INTEGER NOT NULL REFERENCES delivery_stream ON DELETE CASCADE,
  record INTEGER NOT NULL,
  failed_at INTEGER NOT NULL,
  arrived_at INTEGER NOT NULL,
  -- The prefix and the type of error, which make the folder.
  prefix TEXT NOT NULL,
  kind TEXT NOT NULL,
  line TEXT NOT NULL,
  object TEXT,
  PRIMARY KEY (stream, record)
);
