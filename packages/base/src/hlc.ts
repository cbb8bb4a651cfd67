/**
 * Hybrid logical clock: 48 bits of Unix milliseconds and a 16-bit counter in one integer, so that plain comparison
 * orders events and the order follows both wall time and causality.
 * Kulkarni, Demirbas et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed Databases", 2014.
 */
import { assert } from "./assert.js";

/** `ms << 16 | counter`. Fits SQLite's signed 64-bit integer until the year 6429. */
export type Hlc = bigint;

const COUNTER_BITS = 16n;

export function hlcFromMs(wallMs: number): Hlc {
  assert(Number.isFinite(wallMs) && wallMs >= 0, "wall time is a non-negative number");
  return BigInt(Math.floor(wallMs)) << COUNTER_BITS;
}

/** The Unix milliseconds in a stamp. */
export function hlcToMs(hlc: Hlc): number {
  return Number(hlc >> COUNTER_BITS);
}

/**
 * One process's clock. It only moves forward: a wall clock that steps back, freezes or overflows the counter costs
 * accuracy, never order. `high` must be persisted by the caller with what was stamped, and given back after a restart.
 */
export class HlcClock {
  #high: Hlc;

  constructor(high: Hlc = 0n) {
    this.#high = high;
  }

  /** The greatest stamp issued or observed. */
  get high(): Hlc {
    return this.#high;
  }

  /** A stamp greater than every stamp issued or observed before. */
  tick(wallMs: number): Hlc {
    const wall = hlcFromMs(wallMs);
    this.#high = wall > this.#high ? wall : this.#high + 1n;
    return this.#high;
  }

  /** Makes later ticks greater than `remote`. The caller has checked that it is not absurdly far ahead. */
  observe(remote: Hlc): void {
    if (remote > this.#high) this.#high = remote;
  }
}
