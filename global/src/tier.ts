/** What makes a cluster global: the index of apps by region, and one heartbeat row a region. Tiny rows, everywhere. */

/** In order, beside the compiled program. */
export const SCHEMA_FILES: readonly URL[] = ["010-placements.sql", "020-regions.sql"].map(
  (name) => new URL(`../schema/${name}`, import.meta.url),
);

/** Written by what borders publish, and by nobody else. */
export const DERIVED_TABLES = ["placements", "regions"] as const;

export const INDEX = {
  /** Rows a border may publish in one message. */
  rowsPerPublishMax: 1000,
  appCharsMax: 255,
  /** Rows of a region in one page: no page holds up those who ask what runs where. */
  rowsPerPageMax: 2000,
  /** Apps in one page of the list. */
  appsPerPageMax: 1000,
} as const;
