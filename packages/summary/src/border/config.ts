/** The times and limits of a border. All are equal on every border of a region, so that the next one goes on as the last did. */
import { assert } from "@patina/base";
import { checkSummaryConfig, defaultSummaryConfig, type SummaryConfig, testSummaryConfig } from "../config.js";

export interface BorderConfig {
  readonly summary: SummaryConfig;
  /** How long changes are gathered before the view is asked about the apps they touched. */
  readonly gatherMs: number;
  /** Apps looked at in one step; the rest follows `lookAgainMs` later, so that a flood never holds the thread. */
  readonly appsPerLook: number;
  readonly lookAgainMs: number;
  /** How often it is asked anew who publishes. */
  readonly roleMs: number;
  readonly heartbeatMs: number;
  /** With no heartbeat at the global tier for so long, another than the one that should publishes. */
  readonly standInAfterMs: number;
  /** How often the whole index of the region is compared with its detail. */
  readonly auditMs: number;
  /** How often at most a router's doubts have the index compared: it may be large, and doubts may be many. */
  readonly doubtAuditMs: number;
  /** When an audit could not be made, since rows were under way. */
  readonly auditRetryMs: number;
  /** By then a row's own change has reached every agent of the region. */
  readonly settledMs: number;
  /** Rows in one message to the global tier. */
  readonly rowsPerPublish: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Agents named in the heartbeat as places to ask. */
  readonly apisMax: number;
}

export const defaultBorderConfig: BorderConfig = {
  summary: defaultSummaryConfig,
  gatherMs: 20,
  appsPerLook: 16,
  lookAgainMs: 4,
  roleMs: 1000,
  heartbeatMs: 5000,
  standInAfterMs: 20_000,
  auditMs: 15_000,
  doubtAuditMs: 2000,
  auditRetryMs: 300,
  settledMs: 30_000,
  rowsPerPublish: 500,
  retryMinMs: 200,
  retryMaxMs: 5000,
  apisMax: 8,
};

/** Short times and tiny limits, so that what is rare in production is common in a test. */
export const testBorderConfig: BorderConfig = {
  summary: {
    ...testSummaryConfig,
    holdDownMs: 800,
    holdDownMaxMs: 3000,
    withdrawFractionMax: 0.34,
    brakeWindowMs: 4000,
    appsMax: 256,
  },
  gatherMs: 20,
  appsPerLook: 3,
  lookAgainMs: 4,
  roleMs: 400,
  heartbeatMs: 1000,
  standInAfterMs: 4000,
  auditMs: 2500,
  doubtAuditMs: 500,
  auditRetryMs: 150,
  settledMs: 3000,
  rowsPerPublish: 4,
  retryMinMs: 100,
  retryMaxMs: 1000,
  apisMax: 3,
};

export function checkBorderConfig(config: BorderConfig): void {
  checkSummaryConfig(config.summary);
  assert(config.standInAfterMs >= 2 * config.heartbeatMs, "a heartbeat or two may be late");
  assert(config.retryMinMs <= config.retryMaxMs, "a retry waits no longer than it may");
  assert(config.rowsPerPublish >= 1 && config.appsPerLook >= 1 && config.apisMax >= 1, "limits are positive");
}
