/**
 * A checkpoint that a wrong clock dated ahead. Until its time has come it is the newest of nothing: else it would stand for every
 * later one, and none would be taken, restored or proved until then.
 */
import type { IdParts } from "./keys.js";

/** Clocks of a store's servers differ by less. */
const AHEAD_MAX_MS = 60_000;

export function isAhead(takenAtMs: number, nowMs: number): boolean {
  return takenAtMs - nowMs > AHEAD_MAX_MS;
}

/** The last that is not dated ahead; where all are, the last. */
export function newestAt<Dated extends Pick<IdParts, "takenAtMs">>(
  oldestFirst: readonly Dated[],
  nowMs: number,
): Dated | undefined {
  return oldestFirst.findLast(({ takenAtMs }) => !isAhead(takenAtMs, nowMs)) ?? oldestFirst.at(-1);
}
