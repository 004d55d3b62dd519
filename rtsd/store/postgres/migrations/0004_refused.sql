-- The pushes that a node has refused, as JSON.
ALTER TABLE _rts_node ADD COLUMN refused text COLLATE "C" NOT NULL DEFAULT '{}';
