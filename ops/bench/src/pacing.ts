/**
 * Two ways to load something: at a rate, whatever it makes of it (open loop: what is slow does not get fewer requests),
 * and as fast as it answers (closed loop).
 */
import { setImmediate as turnOfLoop, setTimeout as delay } from "node:timers/promises";

/** Sends number `n`; resolves with the time (`performance.now`) at which it was seen at the far end. */
export type Delivery = (n: number) => Promise<number>;

/** A timer is late by this much as a matter of course. Beyond it, the system under load held the thread. */
const TIMER_LATENESS_MS = 2;
const LOST_AFTER_MS = 30_000;

/**
 * Milliseconds from each sending to its being seen. Where a stall delayed the sending itself, it counts from when that
 * was due, so that what nobody could send does not look fast. Throws when one has not been seen for 30 s.
 */
export async function pacedLatencies(deliver: Delivery, perSecond: number, seconds: number): Promise<number[]> {
  const count = Math.max(1, Math.round(perSecond * seconds));
  const startMs = performance.now();
  const latencies: Promise<number>[] = [];
  for (let n = 0; n < count; n++) {
    const dueMs = startMs + (n * 1000) / perSecond;
    const leftMs = dueMs - performance.now();
    if (leftMs > 0) await delay(leftMs);
    const nowMs = performance.now();
    const sentMs = nowMs - dueMs > TIMER_LATENESS_MS ? dueMs : nowMs;
    const latency = deliver(n).then((seenMs) => seenMs - sentMs);
    latency.catch(() => undefined); // Looked at below, with all the others.
    latencies.push(latency);
  }
  return within(LOST_AFTER_MS, Promise.all(latencies), `${count} deliveries at ${perSecond}/s`);
}

/** Calls per second with so many under way at any time. */
export async function closedLoopRate(call: () => Promise<unknown>, inFlight: number, seconds: number): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let calls = 0;
  const callInTurn = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await call();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, callInTurn));
  return (calls * 1000) / (performance.now() - startMs);
}

/** Calls per second of what blocks, by the time spent in it; others on this thread get their turn in between. */
export async function blockingRate(call: () => void, seconds: number, callsPerTurn: number): Promise<number> {
  let calls = 0;
  let spentMs = 0;
  while (spentMs < seconds * 1000) {
    const startMs = performance.now();
    for (let i = 0; i < callsPerTurn; i++) call();
    spentMs += performance.now() - startMs;
    calls += callsPerTurn;
    await turnOfLoop();
  }
  return (calls * 1000) / spentMs;
}

/** The result, unless it takes longer than that: then a throw that says what was waited for. */
export async function within<T>(limitMs: number, result: Promise<T>, what: string): Promise<T> {
  const limit = new AbortController();
  const late = delay(limitMs, undefined, { signal: limit.signal }).then((): never => {
    throw new Error(`${what}: not done after ${limitMs / 1000} s`);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    limit.abort();
    late.catch(() => undefined); // The abort rejects what nobody waits for any more.
  }
}
