-- One word for one thing: what `rtsd verify` keeps of each row is a checksum.
ALTER TABLE _rts_seal RENAME TO _rts_row_checksum;
ALTER TABLE _rts_row_checksum RENAME COLUMN seals TO checksums;
