-- Rows made of change events are partial until their record is read: with others, not at once.
ALTER TABLE _rts_fetch ADD COLUMN completes INTEGER NOT NULL DEFAULT 0;
