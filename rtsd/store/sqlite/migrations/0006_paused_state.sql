-- A paused object is in the state `paused`, and nothing else says so.
UPDATE _rts_object SET state='paused', error=NULL WHERE paused=1;
ALTER TABLE _rts_object DROP COLUMN paused;
