-- The views over mirrored objects in the layouts of other products.
CREATE TABLE _rts_view (
  layout text COLLATE "C" NOT NULL,
  place text COLLATE "C" NOT NULL,            -- their schema
  object text COLLATE "C" NOT NULL,
  name text NOT NULL,
  columns text NOT NULL,                      -- JSON: the source of each column, in order
  definition text NOT NULL,                   -- as it was last created
  PRIMARY KEY (layout, place, object)
);
