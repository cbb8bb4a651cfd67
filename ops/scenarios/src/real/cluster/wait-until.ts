/** Waiting for what other processes come to, by asking again and again. */
import { setTimeout as delay } from "node:timers/promises";
import { systemNow } from "@patina/runtime";

const ASK_EVERY_MS = 50;

/** What was to come true and did not: the scenario has failed. */
export class Unmet extends Error {}

/** Resolves with how long it took, ms. Throws `Unmet` when it takes longer than that. */
export async function waitUntil(
  what: string,
  withinMs: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<number> {
  const { monotonicMs: startMs } = systemNow();
  for (;;) {
    const so = await isSo();
    const tookMs = systemNow().monotonicMs - startMs;
    if (so && tookMs <= withinMs) return tookMs;
    if (tookMs > withinMs) throw new Unmet(`not within ${seconds(withinMs)}: ${what}`);
    await delay(ASK_EVERY_MS);
  }
}

export function expectThat(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Unmet(what);
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}
