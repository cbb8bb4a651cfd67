-- What runs on this region's workers: one row a machine, written by the worker it runs on.
-- @app app
CREATE TABLE machines (
  id         TEXT NOT NULL PRIMARY KEY,
  app        TEXT NOT NULL DEFAULT '',
  worker     TEXT NOT NULL DEFAULT '',
  state      TEXT NOT NULL DEFAULT 'created' CHECK (state IN ('created', 'started', 'stopped', 'destroyed')),
  role       TEXT NOT NULL DEFAULT '',
  address    TEXT NOT NULL DEFAULT '',
  cpus       INTEGER NOT NULL DEFAULT 0,
  memory_mb  INTEGER NOT NULL DEFAULT 0,
  gpus       INTEGER NOT NULL DEFAULT 0,
  updated_ms INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX machines_by_app ON machines (app);
CREATE INDEX machines_by_worker ON machines (worker);
