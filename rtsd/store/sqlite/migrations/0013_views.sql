-- The views over mirrored objects in the layouts of other products.
CREATE TABLE _rts_view (
  layout TEXT NOT NULL,
  place TEXT NOT NULL,            -- what their names begin with
  object TEXT NOT NULL,
  name TEXT NOT NULL,
  columns TEXT NOT NULL,          -- JSON: the source of each column, in order
  definition TEXT NOT NULL,       -- as it was last created
  PRIMARY KEY (layout, place, object)
) WITHOUT ROWID;
