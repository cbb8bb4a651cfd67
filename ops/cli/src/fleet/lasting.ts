/**
 * Looks at a fleet that works: a single look finds differences that are none, for agents do not answer at one moment and are
 * written to meanwhile. What every look found is what is wrong, or is written faster than it spreads.
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

/** Looks at least once, and until it is done or `withinMs` have passed. The first look throws what it throws; of later ones that counts as no look. */
export async function whatLasts<T>({ look, both, isDone }: Looking<T>, withinMs: number): Promise<T> {
  const untilMs = systemNow().monotonicMs + withinMs;
  let found: T = await look();
  while (!isDone(found) && systemNow().monotonicMs < untilMs) {
    await sleep(PAUSE_MS);
    const again = await look().then((now) => ({ now }), () => undefined); // prettier-ignore
    if (again !== undefined) found = both(found, again.now);
  }
  return found;
}
