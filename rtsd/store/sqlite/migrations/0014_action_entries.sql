-- What operators did among millions of changes: a list of it must not read the whole journal.
CREATE INDEX IF NOT EXISTS _rts_journal_action ON _rts_journal (seq) WHERE type = 'action';
