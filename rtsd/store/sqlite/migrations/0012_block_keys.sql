-- A block of row checksums is named by the rowid after which its rows begin, no longer by its number, as the
-- tables of other engines have no rowid.
CREATE TABLE _rts_row_checksum_by_key (
  object TEXT NOT NULL,
  block INTEGER NOT NULL,         -- the rowid after which its rows begin; they end where the next begins
  columns TEXT NOT NULL,          -- digest of the columns that were digested
  checksums BLOB NOT NULL,        -- MessagePack: for each row its id, version and values, digested
  digest BLOB,                    -- of all rows; NULL: look at each
  PRIMARY KEY (object, block)
) WITHOUT ROWID;
INSERT INTO _rts_row_checksum_by_key
  SELECT object, MAX(block * 1024 - 1, 0), columns, checksums, digest FROM _rts_row_checksum;
DROP TABLE _rts_row_checksum;
ALTER TABLE _rts_row_checksum_by_key RENAME TO _rts_row_checksum;
