/** What waits for one watcher. When it is too slow, all of it is given up for one line that says so, and a snapshot. */
import type { WatchConfig, WatchEvent } from "./app-watch.js";

export class WatcherQueue {
  readonly #queueMax: number;
  #events: WatchEvent[] = [];
  #lagged = 0;

  constructor({ queueMax }: WatchConfig) {
    this.#queueMax = queueMax;
  }

  push(...events: readonly WatchEvent[]): void {
    if (this.#lagged > 0 || this.#events.length + events.length > this.#queueMax) {
      this.#lagged += this.#events.length + events.length;
      this.#events = [];
    } else this.#events.push(...events);
  }

  /** Everything that is to be sent now; nothing is left behind. */
  take(snapshot: () => WatchEvent): readonly WatchEvent[] {
    const events = this.#lagged > 0 ? [{ lagged: this.#lagged }, snapshot()] : this.#events;
    this.#events = [];
    this.#lagged = 0;
    return events;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#lagged === 0;
  }
}
