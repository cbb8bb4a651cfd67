/**
 * Looks at a fleet that works: a single look finds differences that are none, for agents are asked one after the other
 * and are written to meanwhile. What every look found is what is wrong.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { systemNow } from "@patina/runtime";

const PAUSE_MS = 250;

export interface Looking<T> {
  readonly look: () => Promise<T>;
  /** What both looks found. */
  readonly both: (before: T, now: T) => T;
  /** Nothing is left, or what is left is certain: no further look is needed. */
  readonly isDone: (found: T) => boolean;
}

/** Looks at least once, and until it is done or `withinMs` have passed. */
export async function whatLasts<T>({ look, both, isDone }: Looking<T>, withinMs: number): Promise<T> {
  const untilMs = systemNow().monotonicMs + withinMs;
  let found: T = await look();
  while (!isDone(found) && systemNow().monotonicMs < untilMs) {
    await sleep(PAUSE_MS);
    found = both(found, await look());
  }
  return found;
}
