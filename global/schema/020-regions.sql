-- One heartbeat row a region: how fresh its part of the index is, and where to ask it. `heartbeat_ms` is by the clock of
-- the global agent that took it.
CREATE TABLE regions (
  region       TEXT NOT NULL PRIMARY KEY,
  generation   INTEGER NOT NULL DEFAULT 1,
  heartbeat_ms INTEGER NOT NULL DEFAULT 0,
  high_water   TEXT NOT NULL DEFAULT '0',
  apis         TEXT NOT NULL DEFAULT '[]',
  agents       INTEGER NOT NULL DEFAULT 0,
  apps         INTEGER NOT NULL DEFAULT 0,
  location     TEXT NOT NULL DEFAULT ''
);
