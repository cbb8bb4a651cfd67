/** The nodes' clocks: monotonic time is the world's own, wall clocks are off, drift, step and stand still. */
import type { Now } from "@patina/base";

const EPOCH_MS = 1_790_000_000_000;

interface WallClock {
  offsetMs: number;
  drift: number;
  /** Until when on the world's clock it stands still, and what it shows. */
  frozen: { readonly untilMs: number; readonly wallMs: number } | undefined;
}

export class Clocks {
  readonly #clocks: WallClock[];
  #baseMs = EPOCH_MS;
  /** The latest that any of them ever showed. */
  #latestMs = EPOCH_MS;

  constructor(offsetsMs: readonly number[], drifts: readonly number[]) {
    this.#clocks = offsetsMs.map((offsetMs, i) => ({ offsetMs, drift: drifts[i] ?? 0, frozen: undefined }));
  }

  now(node: number, nowMs: number): Now {
    const wallMs = Math.floor(this.#wallMs(this.#clock(node), nowMs));
    this.#latestMs = Math.max(this.#latestMs, wallMs);
    return { monotonicMs: nowMs, wallMs };
  }

  step(node: number, byMs: number): void {
    this.#clock(node).offsetMs += byMs;
  }

  freeze(node: number, nowMs: number, forMs: number): void {
    const clock = this.#clock(node);
    clock.frozen = { untilMs: nowMs + forMs, wallMs: this.#wallMs(clock, nowMs) };
  }

  /**
   * All clocks are right again, and it is as late as the fastest of them ever showed: what was stamped in the future is
   * due. Waiting for that hour would be the same, at the cost of simulating it.
   */
  heal(nowMs: number): void {
    this.#baseMs = Math.max(this.#baseMs, this.#latestMs - nowMs);
    for (const clock of this.#clocks) Object.assign(clock, { offsetMs: 0, drift: 0, frozen: undefined });
  }

  #wallMs({ offsetMs, drift, frozen }: WallClock, nowMs: number): number {
    if (frozen !== undefined && frozen.untilMs > nowMs) return frozen.wallMs;
    return this.#baseMs + offsetMs + nowMs * (1 + drift);
  }

  /** A node beyond those planned, a twin, has a clock that is right. */
  #clock(node: number): WallClock {
    return (this.#clocks[node] ??= { offsetMs: 0, drift: 0, frozen: undefined });
  }
}
