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
  /** Agents of one region asked in one resolution, each once. */
  readonly attemptsMax: number;
  /** Another agent of the region is asked when the first is silent for so long: until the region's p95 is known. */
  readonly hedgeMs: number;
  /** The hedge never fires earlier than this, however fast the region is: it must not double the load of a fast one. */
  readonly hedgeMinMs: number;
  /** Round trips remembered of a region, and how many it takes to know its p95. */
  readonly latencySamplesMax: number;
  readonly latencySamplesMin: number;
  /** Resolutions in a row that a region may leave unanswered before it is no longer asked. */
  readonly breakerFailures: number;
  /** How long it is not asked; then one resolution tries it again. */
  readonly breakerOpenMs: number;
  /** Regions whose answers are measured. When full, the one heard of least recently is forgotten. */
  readonly regionsMax: number;
  /** Answers kept for callers that accept old ones, denials among them. When full, the oldest go. */
  readonly answersMax: number;
  /** No kept answer is older than this, whatever a caller accepts. */
  readonly answerMaxMs: number;
}

export const defaultRouterConfig: RouterConfig = {
  freshMs: 15_000,
  staleMs: 600_000,
  clockSkewMaxMs: 60_000,
  candidatesMax: 8,
  probesMax: 3,
  askTimeoutMs: 1_000,
  instancesMax: 1_000,
  attemptsMax: 3,
  hedgeMs: 100,
  hedgeMinMs: 5,
  latencySamplesMax: 64,
  latencySamplesMin: 16,
  breakerFailures: 3,
  breakerOpenMs: 2_000,
  regionsMax: 1_000,
  answersMax: 10_000,
  answerMaxMs: 60_000,
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
  attemptsMax: 2,
  hedgeMs: 10,
  hedgeMinMs: 1,
  latencySamplesMax: 4,
  latencySamplesMin: 2,
  breakerFailures: 2,
  breakerOpenMs: 100,
  regionsMax: 3,
  answersMax: 3,
  answerMaxMs: 1_000,
};

export function checkRouterConfig(config: RouterConfig): void {
  assert(config.freshMs <= config.staleMs, "fresh comes before stale");
  assert(config.attemptsMax >= 1 && config.breakerFailures >= 1, "a region is asked before it is given up");
  assert(config.latencySamplesMin <= config.latencySamplesMax, "the p95 is known before the samples are full");
  assert(config.candidatesMax >= 1 && config.probesMax >= 0 && config.instancesMax >= 1, "limits are positive");
}
