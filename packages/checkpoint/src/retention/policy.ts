/** How long checkpoints are kept. Named, so that every agent and every operator means the same by it. */
import type { Level } from "../manifest/keys.js";

export interface RetentionPolicy {
  /** Of so many days, weeks and months that have a verified base, the newest is kept. */
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  /** Deltas of a level, reckoned from the newest checkpoint. */
  readonly deltaMs: Readonly<Record<Exclude<Level, "base">, number>>;
  /** No policy keeps fewer verified bases. */
  readonly verifiedMin: number;
}

const HOUR_MS = 3_600_000;
const VERIFIED_MIN = 3;

export const RETENTION_POLICIES = {
  /** Back to any ten seconds of two days, five minutes of a week, hour of two weeks, day of a week, week, or month of a year. */
  standard: {
    daily: 7,
    weekly: 5,
    monthly: 12,
    deltaMs: { d0: 48 * HOUR_MS, d1: 7 * 24 * HOUR_MS, d2: 14 * 24 * HOUR_MS },
    verifiedMin: VERIFIED_MIN,
  },
  /** For what must be forgotten: nothing is older than about a week. */
  short: {
    daily: 5,
    weekly: 0,
    monthly: 0,
    deltaMs: { d0: 24 * HOUR_MS, d1: 48 * HOUR_MS, d2: 4 * 24 * HOUR_MS },
    verifiedMin: VERIFIED_MIN,
  },
} as const satisfies Readonly<Record<string, RetentionPolicy>>;

export type RetentionName = keyof typeof RETENTION_POLICIES;
