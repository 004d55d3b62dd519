-- What nodes that stand by want from the leader, and its answers.
CREATE TABLE _rts_request (
  id text COLLATE "C" PRIMARY KEY,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  method text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL,             -- with the query
  body bytea NOT NULL,
  epoch bigint,                               -- of the leader that carries it out; NULL: nobody does yet
  status integer,                             -- NULL: not answered yet
  content_type text COLLATE "C",
  answer bytea
);

-- A digest of each part of a node's configuration in which it may differ from the leader's, as JSON.
ALTER TABLE _rts_node ADD COLUMN settings text COLLATE "C" NOT NULL DEFAULT '{}';
