PRAGMA application_id=0x52545344;

CREATE TABLE _rts_meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- One row per mirrored object; readable by intent (contract section 4).
CREATE TABLE _rts_object (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'pending',
  rows INTEGER NOT NULL DEFAULT 0,
  cursor TEXT,                    -- Interval Sync has read everything stamped before this
  as_of TEXT,                     -- the mirror shows everything committed before this
  expected_rows INTEGER,          -- the org's own count when it was last asked
  counted_at TEXT,
  error TEXT,                     -- why it is not live
  schema TEXT,                    -- the describe, as mirrored
  described_at TEXT,              -- its Last-Modified
  to_fill TEXT NOT NULL DEFAULT '[]', -- JSON list: columns that came later, and are not filled yet
  proven_at TEXT,                 -- up to here the rows were proven equal to the org's
  checked_at TEXT,                -- the last fingerprint, local time
  formulas_as_of TEXT,            -- when the formula fields were last read for every row
  paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Pushes, durable before they are answered 200. The body goes once it is applied, the id stays for days
-- so that a late retry is known.
CREATE TABLE _rts_inbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL,   -- ms
  body BLOB
);
CREATE INDEX _rts_inbox_pending ON _rts_inbox (seq) WHERE body IS NOT NULL;

CREATE TABLE _rts_tombstone (
  object TEXT NOT NULL,
  id TEXT NOT NULL,
  deleted_at TEXT NOT NULL,
  stamp TEXT NOT NULL,
  seen INTEGER NOT NULL,          -- ms; the deletion was observed between seen and until
  until INTEGER NOT NULL,
  master TEXT,                    -- the winner of the merge that deleted it
  "values" TEXT,                  -- the last values, JSON
  PRIMARY KEY (object, id)
) WITHOUT ROWID;

CREATE TABLE _rts_journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  type TEXT NOT NULL,
  object TEXT,
  id TEXT,
  op TEXT,
  source TEXT,
  outcome TEXT,
  changed TEXT,                   -- JSON list
  latency_ms INTEGER,
  message TEXT,
  detail TEXT,                    -- JSON
  before TEXT                     -- JSON: the values this entry replaced
);
CREATE INDEX _rts_journal_record ON _rts_journal (object, id, seq) WHERE id IS NOT NULL;
CREATE INDEX _rts_journal_at ON _rts_journal (at);

-- Records to be fetched by id, and why.
CREATE TABLE _rts_fetch (
  object TEXT NOT NULL,
  id TEXT NOT NULL,
  reason TEXT NOT NULL,
  asked_at INTEGER NOT NULL,      -- ms
  PRIMARY KEY (object, id)
) WITHOUT ROWID;

CREATE TABLE _rts_dead_letter (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  object TEXT,
  record TEXT,
  body BLOB NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX _rts_dead_letter_record ON _rts_dead_letter (reason, object, record);

CREATE TABLE _rts_error (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  error TEXT NOT NULL,
  message TEXT NOT NULL,
  object TEXT,
  count INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX _rts_error_at ON _rts_error (at);

-- Every API call, written before it is sent.
CREATE TABLE _rts_ledger (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,            -- ms
  purpose TEXT NOT NULL,
  resource TEXT NOT NULL,         -- the limit it draws on
  calls INTEGER NOT NULL
);
CREATE INDEX _rts_ledger_at ON _rts_ledger (at);

-- How much of each limit was used in the 24 hours before, every few minutes.
CREATE TABLE _rts_usage (
  at INTEGER NOT NULL,            -- ms
  name TEXT NOT NULL,             -- as Salesforce names it
  max INTEGER NOT NULL,
  used INTEGER NOT NULL,          -- by everybody
  ours INTEGER NOT NULL,          -- by rtsd
  PRIMARY KEY (at, name)
) WITHOUT ROWID;

-- How far a state audit has come, so that it goes on there after a kill.
CREATE TABLE _rts_audit (
  object TEXT PRIMARY KEY,
  started_at TEXT NOT NULL,       -- Salesforce's clock
  job TEXT,                       -- the Bulk job whose result is being read; it outlives us by days
  locator TEXT,                   -- the page of its result to read next
  last_id TEXT NOT NULL DEFAULT '', -- by REST instead: the last row that was read
  rows_read INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- What a full read has seen so far, so that rows it did not see can be told.
CREATE TABLE _rts_sweep (
  object TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (object, id)
) WITHOUT ROWID;
