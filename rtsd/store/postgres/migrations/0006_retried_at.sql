-- When a dead letter was last tried again: `at` keeps the time of the loss.
ALTER TABLE _rts_dead_letter ADD COLUMN IF NOT EXISTS tried_at text;
