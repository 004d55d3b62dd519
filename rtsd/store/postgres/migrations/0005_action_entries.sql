-- What operators did among millions of changes: a list of it must not read the whole journal.
CREATE INDEX IF NOT EXISTS _rts_journal_action ON _rts_journal (seq) WHERE type = 'action';

-- Who asked a node that stands by, and through which program.
ALTER TABLE _rts_request ADD COLUMN IF NOT EXISTS author text;
ALTER TABLE _rts_request ADD COLUMN IF NOT EXISTS program text;
