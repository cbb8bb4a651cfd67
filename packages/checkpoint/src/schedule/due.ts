/**
 * When a cluster's next checkpoint is due, and of which level. Periods are of the object store's clock, so that all members
 * mean the same one; an alarm that rings late, twice or on two members at once does no harm.
 *
 *   d0   every 10 s, since the newest checkpoint of any level       d2   every hour, since the newest base or d2
 *   d1   every 5 min, since the newest base, d2 or d1               base every day, or when too much has changed
 *
 * So a restore reads a base, 23 d2, 11 d1 and 29 d0 at most.
 */
import { isAhead } from "../manifest/ahead.js";
import { type Level, LEVELS } from "../manifest/keys.js";

export interface ScheduleConfig {
  /** The length of a level's period, in milliseconds. */
  readonly periodMs: Readonly<Record<Level, number>>;
  /** A member that is not the first in turn gives each before it so long. */
  readonly turnMs: number;
  /** While nothing changes, a checkpoint that says so is taken this often. */
  readonly heartbeatMs: number;
}

export const DEFAULT_SCHEDULE: ScheduleConfig = {
  periodMs: { base: 86_400_000, d2: 3_600_000, d1: 300_000, d0: 10_000 },
  turnMs: 3000,
  heartbeatMs: 300_000,
};

/** By level, when the newest was taken. A longer level's counts for the shorter ones. */
export type Newest = ReadonlyMap<Level, number>;

export interface Due {
  readonly level: Level;
  /** Which period of the level it is for. */
  readonly period: number;
}

/** The longest level of which this period has none; undefined when nothing is due. One that is dated ahead is none. */
export function dueAt(nowMs: number, noted: Newest, { periodMs }: ScheduleConfig): Due | undefined {
  const newest = new Map([...noted].filter(([, atMs]) => !isAhead(atMs, nowMs)));
  if (!newest.has("base")) return { level: "base", period: Math.floor(nowMs / periodMs.base) };
  for (const level of LEVELS) {
    const period = Math.floor(nowMs / periodMs[level]);
    if (Math.floor(newestMs(newest, level) / periodMs[level]) < period) return { level, period };
  }
  return undefined;
}

/** When the newest of this level or a longer one was taken. */
function newestMs(newest: Newest, level: Level): number {
  return Math.max(
    -Infinity,
    ...LEVELS.slice(0, LEVELS.indexOf(level) + 1).map((each) => newest.get(each) ?? -Infinity),
  );
}
