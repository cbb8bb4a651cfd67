/** Bounds of age, effort and size for one resolution. */
import { assert } from "@patina/base";

export interface RouterConfig {
  /** A region heard from within this is fresh: its part of the map may be trusted for absence too. 3 heartbeats. */
  readonly freshMs: number;
  /** Beyond this a region is expired: still served, ranked last. Long, because demoting costs little and losing much. */
  readonly staleMs: number;
  /** A heartbeat further ahead of our clock than this says nothing about its age, and counts as that old. */
  readonly clockSkewMaxMs: number;
  /** Indexed regions asked at a time. The rest is given as the index has it. */
  readonly candidatesMax: number;
  /** Regions asked on suspicion alone. The rest is named as missing. */
  readonly probesMax: number;
  /** For the driver: how long one region may take to answer. */
  readonly askTimeoutMs: number;
  /** Instances given of one region. The rest is cut, and a note says so. */
  readonly instancesMax: number;
}

export const defaultRouterConfig: RouterConfig = {
  freshMs: 15_000,
  staleMs: 600_000,
  clockSkewMaxMs: 60_000,
  candidatesMax: 8,
  probesMax: 3,
  askTimeoutMs: 1_000,
  instancesMax: 1_000,
};

/** Tiny limits, so that what is rare in production is common in a test. */
export const testRouterConfig: RouterConfig = {
  freshMs: 100,
  staleMs: 1_000,
  clockSkewMaxMs: 500,
  candidatesMax: 2,
  probesMax: 1,
  askTimeoutMs: 50,
  instancesMax: 2,
};

export function checkRouterConfig(config: RouterConfig): void {
  assert(config.freshMs <= config.staleMs, "fresh comes before stale");
  assert(config.candidatesMax >= 1 && config.probesMax >= 0 && config.instancesMax >= 1, "limits are positive");
}
