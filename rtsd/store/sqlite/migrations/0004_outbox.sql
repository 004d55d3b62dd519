-- What rules and alerts send: put here in the transaction that applied the change, kept until somebody took it.
CREATE TABLE _rts_outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL,       -- the same on every try
  rule TEXT NOT NULL,             -- the rule's or the alert's name
  destination TEXT NOT NULL,      -- digest of the URL or argv; what goes there of one record goes in order
  object TEXT NOT NULL,           -- '' for an alert
  record TEXT NOT NULL,           -- an alert's condition
  event INTEGER NOT NULL,         -- the entry of the journal
  created_at INTEGER NOT NULL,    -- ms
  due_at INTEGER,                 -- ms; NULL while an earlier one of the record waits, and once it is done
  tries INTEGER NOT NULL DEFAULT 0,
  first_tried_at INTEGER,         -- ms
  failed_at INTEGER,              -- ms; the last try that failed
  done_at INTEGER,                -- ms
  outcome TEXT,                   -- delivered, dropped, dead_letter
  body BLOB                       -- the document; NULL once it is done
);
CREATE INDEX _rts_outbox_due ON _rts_outbox (destination, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX _rts_outbox_record ON _rts_outbox (destination, object, record, seq) WHERE done_at IS NULL;
CREATE INDEX _rts_outbox_rule ON _rts_outbox (rule, created_at);

-- A delivery that nobody took is a dead letter of another kind: each is kept, none replaces another.
ALTER TABLE _rts_dead_letter ADD COLUMN kind TEXT NOT NULL DEFAULT 'push';
ALTER TABLE _rts_dead_letter ADD COLUMN rule TEXT;
ALTER TABLE _rts_dead_letter ADD COLUMN webhook_id TEXT;
DROP INDEX _rts_dead_letter_record;
CREATE UNIQUE INDEX _rts_dead_letter_record ON _rts_dead_letter (reason, object, record) WHERE kind = 'push';
