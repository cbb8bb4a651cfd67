/** The object store's time, by which periods and ages are reckoned. It is asked for now and then, and reckoned on between. */
import type { ObjectStore } from "@patina/checkpoint";

/** The store is asked again after so long. */
const KNOWN_FOR_MS = 3_600_000;

export class StoreClock {
  readonly #objects: Pick<ObjectStore, "now">;
  readonly #wallMs: () => number;
  #seen: { readonly atMs: number; readonly aheadMs: number } | undefined;

  constructor(objects: Pick<ObjectStore, "now">, wallMs: () => number) {
    this.#objects = objects;
    this.#wallMs = wallMs;
  }

  /** Throws as the store does. */
  async nowMs(): Promise<number> {
    if (this.#seen === undefined || Math.abs(this.#wallMs() - this.#seen.atMs) > KNOWN_FOR_MS) {
      const storeMs = await this.#objects.now();
      this.#seen = { atMs: this.#wallMs(), aheadMs: storeMs - this.#wallMs() };
    }
    return this.estimateMs();
  }

  /** As far as it is known: this machine's own time before the store was first asked. */
  estimateMs(): number {
    return this.#wallMs() + (this.#seen?.aheadMs ?? 0);
  }
}
