/** The latest changes with their exact bytes, so that fan-out and first repairs need not read rows back. */
import { type Change, changeBytes, type OriginId } from "@patina/base";

export class RecentChanges {
  readonly #bytesMax: number;
  readonly #changes = new Map<string, Change>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A version never changes: one that is here already stays as it is. */
  add(change: Change): void {
    const added = keyOf(change.origin, change.version);
    if (this.#changes.has(added)) return;
    this.#changes.set(added, change);
    this.#bytes += changeBytes(change);
    for (const [key, oldest] of this.#changes) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#changes.delete(key);
      this.#bytes -= changeBytes(oldest);
    }
  }

  get(origin: OriginId, version: number): Change | undefined {
    return this.#changes.get(keyOf(origin, version));
  }
}

function keyOf(origin: OriginId, version: number): string {
  return `${origin}:${version}`;
}
