-- Pushes arrive in a file of their own, the inbox, so that none waits for a transaction of the mirror.
-- What was taken out of the inbox and is not applied waits here: `object` names the one that is paused, or not
-- described yet; NULL: to be applied next.
CREATE TABLE _rts_held (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,   -- ms
  body BLOB NOT NULL,
  object TEXT
);
CREATE INDEX _rts_held_object ON _rts_held (object, seq);
CREATE INDEX _rts_held_push ON _rts_held (webhook_id);
INSERT INTO _rts_held (webhook_id, received_at, body, object)
  SELECT webhook_id, received_at, body, held FROM _rts_inbox WHERE body IS NOT NULL ORDER BY seq;

-- Ids of pushes that an earlier version or a backup brings along; the next start moves them into the inbox.
CREATE TABLE _rts_push_id (
  webhook_id TEXT NOT NULL,
  received_at INTEGER NOT NULL    -- ms
);
INSERT INTO _rts_push_id SELECT webhook_id, received_at FROM _rts_inbox ORDER BY seq;
DROP TABLE _rts_inbox;
