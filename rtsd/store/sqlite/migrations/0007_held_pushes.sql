-- Changes of an object that is paused, or not described yet, wait in the inbox: `held` names the object.
ALTER TABLE _rts_inbox ADD COLUMN held TEXT;
DROP INDEX _rts_inbox_pending;
CREATE INDEX _rts_inbox_pending ON _rts_inbox (seq) WHERE body IS NOT NULL AND held IS NULL;
CREATE INDEX _rts_inbox_held ON _rts_inbox (held) WHERE held IS NOT NULL;
