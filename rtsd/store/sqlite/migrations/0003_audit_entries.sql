-- The findings among millions of changes: a list of them must not read the whole journal.
CREATE INDEX _rts_journal_audit ON _rts_journal (seq) WHERE type IN ('audit', 'drift', 'repair');
