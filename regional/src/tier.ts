/** What makes a cluster regional: its tables, and the view of them that the rest of the world is told. */

/** Schema files, in order, beside the compiled program. */
export const SCHEMA_FILES = ["010-machines.sql", "020-app-placement.sql"] as const;

/** `app, class` a row, for each app that is in the region. Users bring their own tables by bringing their own view. */
export const PLACEMENT_VIEW = "app_placement";

export const BORDER = {
  /** How long changes are gathered before the view is asked about the apps they touched. */
  gatherMs: 20,
  /** How long apps are looked at in one go; the rest follows a moment later, so that a flood never holds the thread. */
  lookMs: 2,
  lookAgainMs: 4,
  /** Rows in one message to the global tier. */
  rowsPerPublish: 500,
  heartbeatMs: 5000,
  /** How often the whole index of the region is compared with its detail. */
  auditMs: 15_000,
  /** How often at most a router's doubts have the index compared: it may be large, and doubts may be many. */
  doubtAuditMs: 2000,
  /** When an audit could not be made, since rows were under way. */
  auditRetryMs: 300,
  /** By then a row's own change has reached every agent of the region. */
  settledMs: 30_000,
  retryMinMs: 200,
  retryMaxMs: 5000,
  /** Agents named in the heartbeat as places to ask. */
  apisMax: 8,
} as const;
