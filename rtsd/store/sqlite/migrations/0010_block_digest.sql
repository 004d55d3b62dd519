-- A digest of all rows of a block: while it is the same, verify need not look at each row.
-- NULL: look at each.
ALTER TABLE _rts_row_checksum ADD COLUMN digest BLOB;
