-- What `rtsd verify` saw of each row, so that the next one can tell values that changed without a write.
CREATE TABLE _rts_seal (
  object TEXT NOT NULL,
  block INTEGER NOT NULL,         -- rows by rowid, 1,024 in a block
  columns TEXT NOT NULL,          -- digest of the columns that were sealed
  seals BLOB NOT NULL,            -- MessagePack: for each row its place, version and values, digested
  PRIMARY KEY (object, block)
) WITHOUT ROWID;
