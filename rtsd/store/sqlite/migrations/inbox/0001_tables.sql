PRAGMA application_id=0x52545349;

CREATE TABLE _rts_meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- Pushes, durable before they are answered 200, until the mirror has applied them. rtsd numbers them: a number
-- is never used again, as the mirror keeps the highest that it has applied.
CREATE TABLE _rts_inbox (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,   -- ms
  body BLOB NOT NULL
);

-- The ids of all pushes, in order of arrival. They stay for days, so that a late retry is known.
CREATE TABLE _rts_push_id (
  webhook_id TEXT NOT NULL UNIQUE,
  received_at INTEGER NOT NULL    -- ms
);
