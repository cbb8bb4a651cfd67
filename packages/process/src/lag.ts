/** Whether this copy falls behind: versions it knows of and lacks, for longer than anti-entropy needs to bring them. */
import type { SqliteStore } from "@patina/store";

const LOOK_EVERY_MS = 1000;
/** A dozen rounds of anti-entropy. A copy that has not caught up by then says that it is not to be relied on. */
const BEHIND_MAX_MS = 15_000;

export class Lag {
  readonly #store: SqliteStore;
  readonly #monotonicMs: () => number;
  readonly #looking: NodeJS.Timeout;
  #behindSinceMs: number | undefined;
  #gaps = 0;

  constructor(store: SqliteStore, monotonicMs: () => number) {
    this.#store = store;
    this.#monotonicMs = monotonicMs;
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Empty while the copy keeps up. */
  reasons(): readonly string[] {
    const sinceMs = this.#behindSinceMs;
    const behindMs = sinceMs === undefined ? 0 : this.#monotonicMs() - sinceMs;
    return behindMs < BEHIND_MAX_MS
      ? []
      : [`behind for ${Math.round(behindMs / 1000)} s: it lacks ${this.#gaps} versions`];
  }

  close(): void {
    clearInterval(this.#looking);
  }

  #look(): void {
    let gaps = 0;
    for (const [, holding] of this.#store.holdings()) gaps += holding.gaps.size;
    this.#gaps = gaps;
    this.#behindSinceMs = gaps === 0 ? undefined : (this.#behindSinceMs ?? this.#monotonicMs());
  }
}
