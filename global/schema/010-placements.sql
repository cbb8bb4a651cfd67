-- The index: which app is in which region. Derived from the regions' detail and never written by hand; each row's clock
-- is its region's (generation, high-water), so an older summary cannot overwrite a newer one.
CREATE TABLE placements (
  app    TEXT NOT NULL,
  region TEXT NOT NULL,
  class  TEXT NOT NULL DEFAULT 'standby' CHECK (class IN ('serving', 'standby')),
  PRIMARY KEY (app, region)
);

CREATE INDEX placements_by_region ON placements (region);
